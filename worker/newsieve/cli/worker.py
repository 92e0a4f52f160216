"""`newsieve worker`: scores the raw topic until it is stopped, or a span of its past.

The loop itself is in `newsieve.programs.scoring`.
"""

from __future__ import annotations

import datetime as dt
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from newsieve.bootstrap.common import load_filters, open_health
from newsieve.bootstrap.scoring import (
    acquire_slot,
    make_backfill,
    make_worker,
    read_published,
    worker_topics,
)
from newsieve.bootstrap.students import (
    canaries_of,
    identities_of,
    load_candidates,
    load_students,
    make_scorer,
    scoring_path,
)
from newsieve.cli.common import ConfigOption, moment_of, read_settings
from newsieve.cli.lifecycle import require_topics, stop_on_signals
from newsieve.errors import BrokerLost, BrokerUnavailable, WrongUsage
from newsieve.filters.registry import Filter
from newsieve.kafka.backfill import Backfill
from newsieve.settings.loader import Settings
from newsieve.stream.health import Health
from newsieve.stream.logs import get_logger
from newsieve.stream.metrics import Metrics
from newsieve.stream.published import Published
from newsieve.terminal import echo_err

Span = tuple[dt.datetime, dt.datetime]

_log = get_logger("worker")


def work(
    from_timestamp: Annotated[
        str | None,
        typer.Option(
            "--from-timestamp",
            metavar="TIME",
            help="Score again what came at or after this time, ISO 8601, and end.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="TIME", help="Only what came before this time; default: now."
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="Publish to tier topics even what they have already."),
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Score raw articles and publish the outcomes, exactly once, until SIGTERM.

    SIGTERM finishes what is in flight; a second signal exits at once. Exit codes: 0 drained,
    1 a person is needed, 2 the settings are wrong, 3 start it again.

    --from-timestamp makes a backfill. It runs in a consumer group of its own, named after the
    times, so that the live group's offsets stay where they are and the same command resumes it.
    Every outcome is published again, except on tier topics: a fact that is there when the backfill
    begins (the same ce_id) is not put there again. Another version of the filter, or another
    student, makes other facts. Sampled articles are requested of the oracle again, which pays for
    none whose label it remembers. Choose a span that the live workers have passed: what they
    publish of it in the meantime is not seen.

    --again publishes all facts to tier topics, in yet another group.

    Example: newsieve worker

    Example: newsieve worker --from-timestamp 2026-11-01 --until 2026-11-08
    """
    settings = read_settings(config)
    stop = stop_on_signals("worker")
    span = _span(from_timestamp, until, again=again)
    if span is not None:
        settings = _in_a_group_of_its_own(settings, from_timestamp, until, again=again)
    with open_health(settings, Metrics()) as health:
        _run(settings, span, health, stop, again=again)


def _run(
    settings: Settings,
    span: Span | None,
    health: Health[Metrics],
    stop: threading.Event,
    *,
    again: bool,
) -> None:
    """Score until the worker is stopped, or to the end of the span. Raises Fatal."""

    def heartbeat() -> None:
        health.watchdog.beat()
        if stop.is_set():
            raise typer.Exit  # nothing was begun

    filters = load_filters(settings)
    require_topics(settings, worker_topics(settings, filters))
    slot = acquire_slot(settings, health.watchdog.beat)
    students = load_students(settings, filters)
    students |= load_candidates(settings, filters, students.values())
    scorer = make_scorer(students, health.watchdog.step)
    identities = identities_of(students)
    path = scoring_path(settings, identities, scorer)
    backfill, published = (
        _begun(settings, filters, span, heartbeat, again=again)
        if span is not None
        else (None, None)
    )
    canaries = canaries_of(settings, students, scorer) if backfill is None else None
    running = make_worker(settings, path, slot, health, backfill, canaries, published)
    health.watchdog.start()
    try:
        running.worker.run(lambda: stop.is_set() or (backfill is not None and backfill.is_done()))
    finally:
        scorer.close()


def _span(since: str | None, until: str | None, *, again: bool) -> Span | None:
    """Return the times of a backfill. Raises WrongUsage."""
    if since is None:
        if until is not None or again:
            option = "--again" if until is None else "--until"
            raise WrongUsage(f"{option} is for a backfill: say --from-timestamp, too")
        return None
    begin = moment_of("--from-timestamp", since)
    end = moment_of("--until", until) if until is not None else dt.datetime.now(dt.UTC)
    if begin >= end:
        raise WrongUsage(f"--from-timestamp {since} is not before {until or 'now'}")
    return begin, end


def _in_a_group_of_its_own(
    settings: Settings, since: str | None, until: str | None, *, again: bool
) -> Settings:
    """Name the group after what was asked for, so that the same command resumes it."""
    stretch = "-".join(
        f"{moment_of('', time):%Y%m%dT%H%M%S}" for time in (since, until) if time is not None
    )
    group = f"{settings.worker.group}-backfill-{stretch}{'-again' if again else ''}"
    return settings.model_copy(
        update={"worker": settings.worker.model_copy(update={"group": group})}
    )


def _begun(
    settings: Settings,
    filters: Sequence[Filter],
    span: Span,
    heartbeat: Callable[[], None],
    *,
    again: bool,
) -> tuple[Backfill, Published | None]:
    """Begin or resume a backfill, and say what it will do.

    Also returns the facts that it need not publish to tier topics again. Raises BrokerLost or
    TopicsWrong.
    """
    try:
        backfill = make_backfill(settings, *span)
        backfill.seed()
        _log.info("backfill.reading", tier_topics="not read" if again else "what is on record")
        published = None if again else read_published(settings, filters, heartbeat)
    except BrokerUnavailable as error:
        raise BrokerLost(str(error)) from None
    records = sum(backfill.ends.values()) - sum(backfill.starts.values())
    on_record = {} if published is None else {"tier_records_on_record": len(published)}
    plan = _plan(backfill, published)
    group = settings.worker.group
    _log.info("backfill.begun", group=group, records_at_most=records, plan=plan, **on_record)
    if sys.stderr.isatty():
        echo_err(f"backfill of at most {records:,} raw records: {plan}")
    return backfill, published


def _plan(backfill: Backfill, published: Published | None) -> str:
    if backfill.is_done():
        return "nothing to do: this command has scored its stretch to the end before"
    if published is None:
        return "all facts are published to tier topics, even those that are there already"
    return (
        f"{len(published):,} records are on the tier topics: a fact that is among them is not "
        "published there again (--again does)"
    )
