"""`newsieve push`: delivers a topic's records to a webhook until it is told to stop.

Does not know how a record is sent, nor when an attempt is repeated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from enum import StrEnum
from typing import Annotated

import typer

from newsieve.bootstrap.common import open_health
from newsieve.bootstrap.pushing import PushOrder, group_for, make_push, resolve_topic
from newsieve.cli.common import ConfigOption, read_settings
from newsieve.cli.lifecycle import stop_on_signals
from newsieve.errors import WrongUsage
from newsieve.programs.pushing.address import checked_address, shown_address
from newsieve.programs.pushing.conditions import Conditions
from newsieve.settings.drift import GROUP_PATTERN
from newsieve.settings.loader import Settings
from newsieve.stream.push_metrics import PushMetrics
from newsieve.terminal import echo


class ShapeName(StrEnum):
    """The names of the shapes, for `--shape`."""

    JSON = "json"
    CLOUDEVENTS = "cloudevents"
    SLACK = "slack"


def push(
    context: typer.Context,
    topic: Annotated[
        str,
        typer.Option(
            "--topic", metavar="T", help="A topic's name, in full or behind the prefix and its dot."
        ),
    ],
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="URL", help="The webhook, http or https. Default: push.url."),
    ] = None,
    shape: Annotated[
        ShapeName, typer.Option("--shape", help="What is sent of a record.")
    ] = ShapeName.JSON,
    tier: Annotated[
        list[str] | None, typer.Option("--tier", metavar="TIER", help="Only these tiers.")
    ] = None,
    min_score: Annotated[
        float | None, typer.Option("--min-score", metavar="X", help="Only scores of X or more.")
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option("--source", metavar="NAME", help="Only these sources.")
    ] = None,
    filter_: Annotated[
        str | None, typer.Option("--filter", metavar="F", help="Only this filter, or filter/vN.")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            metavar="NAME",
            help="Consumer group that remembers what was delivered; default: made of T, URL and "
            "what else is chosen here.",
        ),
    ] = None,
    from_beginning: Annotated[
        bool,
        typer.Option("--from-beginning", help="A new group begins with the records there are."),
    ] = False,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Stop at what is the end of the topic now.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Deliver a topic's records to a webhook, in order and at least once, until SIGTERM.

    A webhook that is away, or says 429, is tried for ever, with growing pauses; nothing is lost
    or passed by. One that refuses a record (another 4xx, or a redirect, which is not followed) is
    tried again five times within half a minute; then the exit code is 1, and the same record comes
    first next time. A receiver deduplicates by webhook-id. push.secret signs each request.

    Exit codes: 0 stopped, or at the end, 1 a person is needed, 2 wrong usage, 3 start it again.

    Example: newsieve push --topic drift.alerts --to https://hooks.example.org/drift --until-end
    """
    settings = read_settings(config)
    address = _address(settings, to)
    if group is not None and re.fullmatch(GROUP_PATTERN, group) is None:
        raise WrongUsage(f"--group {group!r} does not match {GROUP_PATTERN}")
    stop = stop_on_signals("push")
    health = context.with_resource(open_health(settings, PushMetrics()))
    name = resolve_topic(settings, topic)
    _require_known(settings, filter_, tier or ())
    conditions = Conditions(
        filter_, frozenset(tier or ()), min_score, frozenset(item.lower() for item in source or ())
    )
    order = PushOrder(
        name,
        address,
        shape.value,
        conditions,
        group or group_for(name, address, shape.value, conditions),
        from_beginning,
        until_end,
    )
    with closing(make_push(settings, order, health)) as running:
        health.watchdog.start()
        try:
            running.loop.run(stop.is_set)
        finally:
            running.observer.drained()
            health.watchdog.stop()
    delivered, passed_over = running.observer.delivered_total, running.observer.passed_over_total
    echo(f"{shown_address(address)}: {delivered:,} delivered, {passed_over:,} passed over")


def _require_known(settings: Settings, filter_: str | None, tiers: Sequence[str]) -> None:
    """Refuse a filter or a tier that no record can have: all would be passed over. Raises
    UnknownFilter or WrongUsage."""
    registry = settings.filters.registry
    filters = [registry.load(name) for name in ([filter_] if filter_ else registry.names)]
    known = sorted({tier.name for item in filters for tier in item.definition.tiers})
    for tier in tiers:
        if tier not in known:
            raise WrongUsage(f"--tier {tier!r:.60}: there are {', '.join(known)}")


def _address(settings: Settings, to: str | None) -> str:
    """Return the webhook's address. Raises WrongUsage, which does not quote it: it may be a
    secret."""
    if to is not None:
        try:
            return checked_address(to)
        except ValueError as error:
            raise WrongUsage(f"--to: {error}") from None
    if settings.push.url is None:
        raise WrongUsage("where to? Give --to URL, or set NEWSIEVE_PUSH__URL")
    return settings.push.url.get_secret_value()
