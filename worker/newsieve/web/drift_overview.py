"""An overview of all drift monitors, worst first, in the words that the table, JSON and the page of
`newsieve drift status` share.

Knows neither tables nor pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from newsieve.drift.filter_monitor import FilterMonitor
from newsieve.drift.monitor_state import (
    ALERT,
    CALM,
    INCIDENT,
    OK,
    PENDING,
    RECOVERING,
    RESOLVED,
    SUSPENDED,
    WARMING,
    WARNING,
    Transition,
)
from newsieve.drift.monitor_status import MonitorStatus, monitor_status
from newsieve.drift.power_analysis import days_until_found, rise_found_within
from newsieve.drift.suspect_labels import SuspectStatus
from newsieve.filters.registry import Filter
from newsieve.programs.drift.current_state import CurrentState, MonitorGroup
from newsieve.programs.drift.session import MonitoredFilter
from newsieve.records.encode import timestamp
from newsieve_schemas.drift import State

WORST_FIRST: Final[tuple[State, ...]] = (
    ALERT, RECOVERING, WARNING, PENDING, SUSPENDED, WARMING, RESOLVED, OK,
)  # fmt: skip
SEVERITIES: Final = ("critical", "warning", "info")
MINUTE, HOUR, DAY = 60, 60 * 60, 24 * 60 * 60  # seconds
MOST_OF_A_UNIT: Final = 2  # from two on, larger units read better
NOT_TESTED: Final = "speak to a model: counted apart, never tested"
SECOND_CHARACTERS: Final = len("2026-11-25T13:21:07")


@dataclass(frozen=True, slots=True)
class OverviewItem:
    """A monitor, or an alert on canaries, articles or anchors, which has no status."""

    filter: Filter
    stratum: str
    state: State
    alert: Mapping[str, Any]  # the DriftAlert that would remind of it now
    status: MonitorStatus | None
    cause: str  # in words; "" where nothing is wrong
    advice: str  # what else there is to know
    commands: tuple[str, ...]  # that decide about it
    written_at: int | None


def overview_items(current: CurrentState, now: int) -> list[OverviewItem]:
    """Return all items, worst first. `now` is in milliseconds."""
    overview = [
        item
        for monitored in current.monitored.values()
        for item in _items_of(monitored, current, now)
    ]
    return sorted(overview, key=_badness)


def _badness(item: OverviewItem) -> tuple[int, int, str, str]:
    severity = SEVERITIES.index(item.alert["severity"])
    return WORST_FIRST.index(item.state), severity, item.filter.name, item.stratum


def _items_of(
    monitored: MonitoredFilter, current: CurrentState, now: int
) -> Iterator[OverviewItem]:
    filter_monitor = monitored.monitor
    name = filter_monitor.filter.name
    for step in filter_monitor.as_reminders(now):
        monitor = filter_monitor.monitors.by_identity.get(step.identity)
        if monitor is None and step.state in CALM:
            continue
        status = monitor_status(monitor) if monitor is not None else None
        yield OverviewItem(
            filter=filter_monitor.filter,
            stratum=step.identity.stratum,
            state=step.state,
            alert=monitored.encoder.alert_fields(step),
            status=status,
            cause=_cause(step, status),
            advice=_advice(filter_monitor, status) if status is not None else "",
            commands=_commands(name, step, status),
            written_at=current.written_at.get(step.identity)
            if monitor is not None
            else current.last_written_at(name),
        )


def suspect_items(current: CurrentState) -> Iterator[tuple[str, SuspectStatus, int | None]]:
    """Yield each filter's suspect labels by student and oracle, and when they were written."""
    for name, monitored in current.monitored.items():
        for status in monitored.monitor.monitors.suspects.statuses():
            yield name, status, current.last_written_at(name)


def _cause(step: Transition, status: MonitorStatus | None) -> str:
    if step.state in INCIDENT or status is None:
        known = step.cause.replace("_", " ")
        return known if step.cause != "unknown" else "not known"
    if step.state == SUSPENDED:
        return "another oracle" if step.labels.other_oracle_key is not None else "no labels"
    if step.state == WARMING:
        return "a new baseline is being made" if status.state.collects else "no baseline"
    return "" if step.state in CALM else "not known before it is an alert"


def _commands(name: str, step: Transition, status: MonitorStatus | None) -> tuple[str, ...]:
    """Return the commands by which people can decide now."""
    if step.reason == "oracle_changed":
        kinds = ("accept-oracle", "reject-oracle")
        return tuple(f"newsieve drift {kind} --filter {name}" for kind in kinds)
    if step.reason == "no_baseline":
        return (f"newsieve drift rebaseline --filter {name}",)
    is_open = step.state in (*INCIDENT, SUSPENDED)
    if is_open and (status is None or not status.state.is_acknowledged):
        return (f"newsieve drift acknowledge --filter {name}",)
    return ()


def _advice(monitor: FilterMonitor, status: MonitorStatus) -> str:
    """Return what there is to know or do, for one cell of a table."""
    state, name = status.state, monitor.filter.name
    if state.state == SUSPENDED:
        return _suspended(monitor, state.other_oracle_key)
    if state.awaits_cause:
        return "an alarm waits for anchors to tell its cause"
    if state.collects:
        return f"labels for a new baseline so far: {status.collected}"
    if not status.baseline_labels:
        return f"no baseline: newsieve drift rebaseline --filter {name}"
    if state.state in INCIDENT:
        return f"{state.cause}" + (", acknowledged" if state.is_acknowledged else "")
    return _power(status)


def _suspended(monitor: FilterMonitor, other: str | None) -> str:
    if other is None:
        return "no labels: does the oracle run?"
    difference = monitor.attribution.anchor_difference()
    compared = f" (anchors differ by {difference.error:.2f})" if difference is not None else ""
    commands = f"newsieve drift accept-oracle or reject-oracle --filter {monitor.filter.name}"
    return f"labels by {other}{compared}: {commands}"


def _power(status: MonitorStatus) -> str:
    """Return the drift that the monitor's rate of labels can find."""
    rate = status.labels_a_day
    if rate is None:
        span = duration(status.span_milliseconds)
        return f"label rate not known yet: {status.labels_kept} labels within {span}"
    return (
        f"{rate:,.0f} labels a day: within a day {rise_found_within(rate)} is found; "
        f"+0.2 takes {days_until_found(0.2, rate):,.1f} days"
    )


def nothing_yet(written_at: int | None, group: MonitorGroup) -> str:
    """Return what a filter without monitors still waits for."""
    if written_at is not None:
        return "no label has come yet: does `newsieve oracle` run, and do workers sample for it?"
    if group.at_work:
        return (
            "no state on record yet: nothing has come to read. Do `newsieve worker` and "
            "`newsieve oracle` run?"
        )
    return "no state on record: start `newsieve drift`"


def freshness(current: CurrentState, group: MonitorGroup, now: int) -> str:
    """Return when the state was last written, and whether a monitor is at work."""
    return f"{written(last_written_at(current), now)} {at_work(group)}"


def last_written_at(current: CurrentState) -> int | None:
    """Return when the latest snapshot of any filter was written, None where there is none."""
    times = current.written_at.values()
    return max((time_ms for time_ms in times if time_ms is not None), default=None)


def written(written_ms: int | None, now: int) -> str:
    """Return a sentence on when the state was last written."""
    if written_ms is None:
        return "The state topic has no state yet."
    return f"State last written {moment(written_ms)}, {duration(now - written_ms)} ago."


def at_work(group: MonitorGroup) -> str:
    """Return one sentence or two on whether a monitor is at work."""
    if group.at_work is None:
        return f"Whether a monitor is at work is not known: {group.why_not_known}."
    if group.at_work:
        verb = "stands" if group.standing_by == 1 else "stand"
        others = f"; {group.standing_by} more {verb} by" if group.standing_by else ""
        return f"A monitor of group {group.name} is at work{others}."
    if group.standing_by:
        return (
            f"No monitor of group {group.name} is at work; {group.standing_by} of it is about to "
            "take over, or has just ended."
        )
    return (
        f"No monitor of group {group.name} is at work: no label is tested and no decision taken "
        "up until `newsieve drift` runs."
    )


def moment(timestamp_ms: int) -> str:
    """Return a time for people, in UTC."""
    text = timestamp(timestamp_ms) or str(timestamp_ms)
    return f"{text[:SECOND_CHARACTERS].replace('T', ' ')} UTC"


def duration(milliseconds: int) -> str:
    """Return a time span in the largest unit of which there are two."""
    seconds = max(milliseconds, 0) / 1_000
    for unit, name in ((DAY, "days"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= MOST_OF_A_UNIT * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
