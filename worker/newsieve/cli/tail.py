"""`newsieve tail`: shows a topic's records as they come.

It knows none of the records' fields.
"""

from __future__ import annotations

import json as json_
import sys
from itertools import islice
from typing import Annotated, Any

import typer

from newsieve.bootstrap.common import cluster
from newsieve.cli.common import ConfigOption, JsonOption, read_settings
from newsieve.kafka.messages import StoredRecord
from newsieve.kafka.topic_reader import read
from newsieve.records.dead_letter import explanation
from newsieve.records.decode import header
from newsieve.terminal import echo, show_value


def tail(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="A topic's full name.")],
    from_beginning: Annotated[
        bool,
        typer.Option("--from-beginning", help="Begin with the records that are there already."),
    ] = False,
    count: Annotated[
        int | None, typer.Option("--count", min=1, metavar="N", help="Stop after N records.")
    ] = None,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Stop at what is the end of the topic now.")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show a topic's records, committed ones only, until interrupted.

    Example: newsieve tail articles.tier.uplifting.impact --from-beginning --until-end
    """
    settings = read_settings(config)
    found = read(cluster(settings), topic, from_beginning=from_beginning, until_end=until_end)
    for record in islice(found, min(count, sys.maxsize) if count is not None else None):
        _show(record, as_json=json)


def _show(found: StoredRecord, *, as_json: bool) -> None:
    if as_json:
        show_value(found.record.value or b"")
        return
    why = explanation(found.record.headers)
    place = f"{found.partition[1]}/{found.offset}"
    if "stage" in why:  # a replayed record has its attempts, and no stage
        text = f"dead letter  {why['stage']}: {why.get('error')}: {why.get('message')}"
    else:
        text = _line(found)
    echo(f"{place}  {text}", is_line=True)


def _line(found: StoredRecord) -> str:
    value = found.record.value or b""
    try:
        return _summary(json_.loads(value), found)
    except (ValueError, RecursionError):  # not JSON, or nested beyond reading
        return repr(value[:120])


def _summary(facts: Any, found: StoredRecord) -> str:
    article = facts.get("article") if isinstance(facts, dict) else None
    if not isinstance(article, dict):
        return json_.dumps(facts, ensure_ascii=False)[:200]
    outcome = header(found.record.headers, "outcome")
    if outcome == b"blocked":
        verdict = f"blocked by {facts.get('blocked_by')}"
    else:
        verdict = f"{facts.get('tier')} {facts.get('score')}"
    return f"{facts.get('filter')}  {verdict}  {article.get('title') or article.get('id')}"
