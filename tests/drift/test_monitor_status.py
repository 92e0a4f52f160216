"""The status of a monitor, and its present state as a reminder."""

from __future__ import annotations

import json

import pytest

from newsieve.drift.alerts import drift_alert
from newsieve.drift.monitor_state import MonitorConfig, Transition, TransitionReason
from newsieve.drift.monitor_status import monitor_status
from newsieve.drift.stratum_monitor import StratumMonitor
from newsieve_schemas.drift import DriftAlert, State
from tests.support.drift import (
    DAY,
    IDENTITY,
    STREAMS,
    Change,
    as_it_is,
    errors_times,
    feed,
    monitor_after,
    more,
    moved,
)
from tests.support.drift_monitor import SUBJECT, a_filter_monitor, canary

REMINDING = MonitorConfig(reminder=DAY, silence=2 * DAY)
WORSE = errors_times(1.8)
HOUR = DAY // 24


def alert_of(step: Transition) -> dict[str, object]:
    """As a record, which the contract allows."""
    facts = drift_alert(step, SUBJECT, "newsieve drift replay", "https://r.example/book")
    DriftAlert.model_validate_json(json.dumps(facts), extra="forbid")
    return facts


@pytest.mark.parametrize("is_suspended", [False, True])
def test_what_a_monitor_says_now_is_what_its_reminder_says(*, is_suspended: bool) -> None:
    """The same record, word by word; asking changes nothing."""
    monitor, _ = monitor_after(12, (20, as_it_is), (100, WORSE), config=REMINDING, oracle_key="a")
    if is_suspended:
        feed(monitor, more(1, 5, moved(1), oracle_key="b"))
    before = monitor.snapshot()
    at = monitor.state.published_at + DAY

    now = monitor.as_reminder(at)

    assert monitor.snapshot() == before
    reminder = monitor.tick(at)
    assert reminder is not None
    assert alert_of(now) == alert_of(reminder)
    assert now.state == ("suspended" if is_suspended else "alert")


@pytest.mark.parametrize(
    ("parts", "state", "why"),
    [
        ([(60, as_it_is)], "ok", "evidence"),
        ([(20, as_it_is), (40, errors_times(1.6))], "pending", "evidence"),
        ([(20, as_it_is), (100, WORSE)], "alert", "evidence"),
        ([(20, as_it_is), (100, WORSE), (300, as_it_is)], "recovering", "evidence"),
    ],
)
def test_there_is_something_to_say_in_each_state(
    parts: list[tuple[int, Change]], state: State, why: TransitionReason
) -> None:
    """A headline, an action, a command."""
    reached = []
    monitor, _ = monitor_after(12, *parts[:1], config=REMINDING)
    for seed, (count, change) in enumerate(parts[1:], start=2):
        for label in more(seed, count, change):
            monitor.label(label)
            now = monitor.as_reminder(label.position)
            reached.append((now.state, now.reason))
            alert_of(now)
    reached.append((monitor.as_reminder(1).state, monitor.as_reminder(1).reason))

    assert (state, why) in reached


def test_a_monitor_without_a_baseline_says_what_it_waits_for() -> None:
    """Nobody has asked for one; then somebody has, and it is being made."""
    monitor = StratumMonitor(IDENTITY, STREAMS, REMINDING)
    feed(monitor, more(1, 3))

    without = alert_of(monitor.as_reminder(1))
    monitor.rebaseline(2)
    asked = alert_of(monitor.as_reminder(3))

    assert "no baseline" in str(without["headline"]) and "baseline" in str(without["action"])
    assert "#no-baseline" in str(without["action"])
    assert "next labels" in str(asked["headline"])


def test_a_filter_monitor_gives_the_state_of_canaries_articles_and_anchors() -> None:
    """Beside its monitors; that of canaries that moved is the alert that was raised."""
    filter_monitor = a_filter_monitor()
    (raised,) = filter_monitor.canaries(canary(5, passed=False))

    found = {step.identity.stratum: step for step in filter_monitor.as_reminders(9)}

    assert set(found) == {"x", "canaries", "articles", "anchors"}
    assert found["canaries"].state == "alert" and found["articles"].state == "ok"
    now, then = alert_of(found["canaries"]), alert_of(raised)
    for name in ("headline", "action", "evidence", "cause", "incident_id", "severity"):
        assert now[name] == then[name]


@pytest.mark.parametrize(
    ("step", "rate"), [(1_000, None), (11 * HOUR // 99, None), (HOUR, 24), (HOUR // 6, 144)]
)
def test_labels_a_day_are_not_made_of_less_than_half_a_day(step: int, rate: int | None) -> None:
    """A hundred within minutes say nothing of a day."""
    filter_monitor = a_filter_monitor(with_anchors=False)
    for n, label in enumerate(more(3, 100, stratum="x", oracle_key="a")):
        filter_monitor.label(label._replace(position=n * step))
    (monitor,) = filter_monitor.monitors.by_identity.values()

    reading = monitor_status(monitor)

    assert reading.labels_a_day == (None if rate is None else pytest.approx(rate))
    assert reading.labels_kept == 100 and reading.span_milliseconds == 99 * step
