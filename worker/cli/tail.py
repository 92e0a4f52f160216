"""`newsieve tail`: records as they come, readable."""

from __future__ import annotations

import json as json_
import sys
from itertools import islice
from typing import Annotated

import typer

from worker.assemble import cluster
from worker.cli.common import ConfigOption, JsonOption, read_settings, say
from worker.codec.dead_letter import explanation
from worker.codec.decode import header
from worker.kafka.reader import Found, read


def tail(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="A topic's full name.")],
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="What is there already, too.")
    ] = False,
    count: Annotated[
        int | None, typer.Option("--count", min=1, metavar="N", help="Stop after N records.")
    ] = None,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Stop at what is the end now.")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show a topic's records, committed ones only, until interrupted.

    Example: newsieve tail articles.tier.uplifting.impact --from-beginning --until-end
    """
    settings = read_settings(config)
    found = read(cluster(settings), topic, from_beginning=from_beginning, until_end=until_end)
    for record in islice(found, count):
        _show(record, as_json=json)


def _show(found: Found, *, as_json: bool) -> None:
    if as_json:
        value = (found.record.value or b"").decode("utf-8", "replace")
        sys.stdout.write(value.replace("\n", " ") + "\n")
        sys.stdout.flush()
        return
    why = explanation(found.record.headers)
    place = f"{found.partition}/{found.offset}"
    if "stage" in why:  # a replayed record has its attempts, and no stage
        say(f"{place}  dead letter  {why['stage']}: {why['error']}: {why['message']}")
        return
    say(f"{place}  {_line(found)}")


def _line(found: Found) -> str:
    try:
        facts = json_.loads(found.record.value or b"")
    except (ValueError, RecursionError):  # not JSON, or nested beyond reading
        return repr((found.record.value or b"")[:120])
    article = facts.get("article") if isinstance(facts, dict) else None
    if not isinstance(article, dict):
        return json_.dumps(facts, ensure_ascii=False)[:200]
    outcome = header(found.record.headers, "outcome")
    if outcome == b"blocked":
        verdict = f"blocked by {facts.get('blocked_by')}"
    else:
        verdict = f"{facts.get('tier')} {facts.get('score')}"
    return f"{facts.get('filter')}  {verdict}  {article.get('title') or article.get('id')}"
