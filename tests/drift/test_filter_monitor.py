"""A whole filter: anchors, decisions, and what is kept of it."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest

from newsieve.drift.alerts import drift_alert, fingerprint, incident_id
from newsieve.drift.decision_log import Decision
from newsieve.drift.dedup import LabelDeduplicator
from newsieve.drift.filter_monitor import FilterMonitor
from newsieve.drift.label_reader import Label
from newsieve.drift.monitor_state import MonitorConfig, Transition
from newsieve.drift.monitor_status import monitor_status
from newsieve.drift.snapshot import Snapshot
from newsieve_schemas.drift import DriftAlert
from tests.support.drift import DAY, UPLIFTING, as_it_is, history, labels, more
from tests.support.drift_incidents import HOUR
from tests.support.drift_monitor import (
    ANCHORS,
    SUBJECT,
    WORSE,
    a_filter_monitor,
    alarmed,
    answer,
    canary,
)


def test_a_third_of_the_labels_ask_for_an_anchor_in_turn() -> None:
    """Every anchor comes round."""
    filter_monitor = a_filter_monitor()
    for label in more(3, 360, stratum="x", oracle_key="a"):
        filter_monitor.label(label)

    assert filter_monitor.attribution.wanted == [f"anchor-{n % 60}" for n in range(120)]


def test_an_oracle_that_labels_its_anchors_otherwise_is_found_early() -> None:
    """Before production alarms; then an alarm needs no guard window."""
    filter_monitor = a_filter_monitor()
    steps = []
    for at in range(40):
        filter_monitor.attribution.wanted = [f"anchor-{at}"]
        steps += answer(filter_monitor, at, moved=2)

    assert ("alert", "oracle_drift") in [(step.state, step.cause) for step in steps]
    assert {step.identity.stratum for step in steps} == {"anchors"}
    assert alarmed(filter_monitor)[-1].cause == "oracle_drift"


def test_a_changed_oracle_is_compared_on_all_anchors() -> None:
    """While it waits for an operator, who accepts it: new baselines, and the old anchors' word
    counts no more."""
    filter_monitor = a_filter_monitor()
    for label in more(4, 30, stratum="x", oracle_key="a"):
        filter_monitor.label(label)
    filter_monitor.attribution.wanted.clear()

    steps = filter_monitor.label(more(5, 1, stratum="x", oracle_key="b")[0])
    assert [step.reason for step in steps] == ["oracle_changed"]
    assert sorted(set(filter_monitor.attribution.wanted)) == sorted(ANCHORS.ids)
    assert answer(filter_monitor, 9, moved=2, key="b") == []
    difference = filter_monitor.attribution.anchor_difference()
    assert difference is not None and difference.anchors == 60
    assert difference.error > difference.usual + 0.3

    steps = filter_monitor.decide(Decision("accept_oracle", 10, oracle_key="b"))
    assert [step.state for step in steps] == ["warming"]
    assert filter_monitor.decide(Decision("accept_oracle", 11, oracle_key="b")) == []
    for label in more(6, 220, stratum="x", oracle_key="b"):
        steps += filter_monitor.label(label)
    assert [step.state for step in steps][:2] == ["warming", "ok"]
    found = []
    for label in more(7, 300, WORSE, stratum="x", oracle_key="b"):
        found += filter_monitor.label(label)
    assert ("alert", "unknown") in [(step.state, step.cause) for step in found]


def test_all_anchors_are_asked_for_once_and_for_their_own_oracle_only() -> None:
    """Two strata meet another oracle; once it is accepted, the old one's anchors say nothing."""
    filter_monitor = a_filter_monitor()
    for row in labels(history(2, reference=400, stratum="y", oracle_key="a")):
        filter_monitor.label(row)
    for at, stratum in enumerate("xy"):
        for label in more(4 + at, 5, stratum=stratum, oracle_key="a"):
            filter_monitor.label(label)
    filter_monitor.attribution.wanted.clear()

    for at, stratum in enumerate("xy"):
        steps = filter_monitor.label(more(6 + at, 1, stratum=stratum, oracle_key="b")[0])
        assert [step.reason for step in steps] == ["oracle_changed"]
    assert len(filter_monitor.attribution.wanted) in (60, 61)  # and one that was due

    filter_monitor.decide(Decision("accept_oracle", 10_000, oracle_key="b", scope="s"))
    filter_monitor.attribution.wanted.clear()
    for label in more(8, 30, stratum="x", oracle_key="b"):
        filter_monitor.label(label)
    assert filter_monitor.attribution.wanted == []


def test_decisions_are_about_what_they_name() -> None:
    """A stratum, a student, or all of the filter."""
    filter_monitor = a_filter_monitor()
    for row in labels(history(2, (5, as_it_is), stratum="y", reference=100, oracle_key="a")):
        filter_monitor.label(row)
    for label in more(3, 5, stratum="x", oracle_key="a"):
        filter_monitor.label(label)

    one = filter_monitor.decide(Decision("rebaseline", 7, stratum="y"))
    none = filter_monitor.decide(Decision("rebaseline", 8, student_version="another"))
    both = filter_monitor.decide(Decision("reject_oracle", 9, oracle_key="b"))

    assert [step.identity.stratum for step in one] == ["y"]
    assert none == both == []
    assert filter_monitor.label(more(4, 1, stratum="x", oracle_key="b")[0]) == []


def test_a_student_that_was_replaced_is_forgotten() -> None:
    """After a silence; its state's last record has no detector, its incident is resolved."""
    filter_monitor = a_filter_monitor(with_anchors=False, config=MonitorConfig(silence=DAY))
    alert = alarmed(filter_monitor)[-1]
    new = labels(history(5, (3, as_it_is), reference=100, student_version="2", oracle_key="a"))
    for row in new:
        filter_monitor.label(row._replace(position=alert.position + 2 * DAY))
    filter_monitor.take_changes()

    steps = filter_monitor.tick(alert.position + 2 * DAY + 1)

    assert [(step.reason, step.state) for step in steps] == [("replaced", "resolved")]
    gone = [saved for saved in filter_monitor.take_changes() if saved.detector is None]
    assert [saved.identity for saved in gone] == [alert.identity]
    assert len(filter_monitor.monitors.by_identity) == 1


def test_every_transition_is_a_drift_alert() -> None:
    """As its schema has it, strictly; the fingerprint is a monitor's, the incident id an
    episode's."""
    filter_monitor = a_filter_monitor(config=MonitorConfig(reminder=DAY, silence=30 * DAY))
    steps = [
        *filter_monitor.label(more(2, 1, stratum="x", oracle_key="a")[0]),
        *alarmed(filter_monitor),
    ]
    steps += answer(filter_monitor, 500_000) + filter_monitor.tick(3 * DAY)
    steps += filter_monitor.canaries(canary(1, passed=False))
    for label in more(9, 700, stratum="x", oracle_key="a"):
        steps += filter_monitor.label(label)

    assert {"ok", "warning", "alert", "resolved"} <= {step.state for step in steps}
    for step in steps:
        record = DriftAlert.model_validate_json(
            json.dumps(drift_alert(step, SUBJECT, "c", "https://r.example/book"))
        )
        assert record.fingerprint == fingerprint(step.identity)
        assert record.incident_id == incident_id(step.identity, step.episode)
        assert record.repeated == step.is_reminder
    assert any(step.is_reminder for step in steps)


def through_json(saved: Snapshot) -> Snapshot:
    return replace(saved, detector=json.loads(json.dumps(saved.detector)))


def test_a_filter_monitor_stopped_at_any_moment_goes_on_as_one_that_was_not() -> None:
    """Twenty times at random, from the snapshots of what had changed; the same transitions, and
    the same anchors asked for."""
    rules = MonitorConfig(silence=30 * DAY, reminder=DAY)
    reference = labels(history(1, reference=400, oracle_key="a"))
    rows: list[Label] = [
        *more(1, 120, stratum="x", oracle_key="a"),
        *more(2, 200, WORSE, stratum="x", oracle_key="a"),
        *more(3, 400, stratum="x", oracle_key="a"),
        *more(4, 3, stratum="x", oracle_key="b"),
    ]
    rows = [row._replace(id=str(at % 700)) for at, row in enumerate(rows)]
    cuts = set(random.Random(5).sample(range(len(rows)), 20))
    unbroken, broken = (FilterMonitor(UPLIFTING, rules, ANCHORS) for _ in range(2))
    kept = {}
    found: dict[str, list[Transition]] = {"unbroken": [], "broken": []}
    for row in reference:
        unbroken.label(row)
        broken.label(row)
    for at, row in enumerate(rows):
        if at in cuts:
            kept |= {saved.identity: saved for saved in broken.take_changes()}
            broken = FilterMonitor(UPLIFTING, rules, ANCHORS)
            for saved in kept.values():
                broken.resume(through_json(saved))
        for name, filter_monitor in (("unbroken", unbroken), ("broken", broken)):
            found[name] += filter_monitor.label(row)
            found[name] += answer(filter_monitor, at, moved=0.0)
            if at % 100 == 0:
                found[name] += filter_monitor.canaries(canary(at, passed=at != 200))
                found[name] += filter_monitor.tick(at * HOUR)

    assert found["unbroken"] == found["broken"]
    assert {"alert", "resolved", "suspended"} <= {step.state for step in found["unbroken"]}
    assert sum(len(json.dumps(saved.detector)) for saved in unbroken.take_changes()) < 64_000


def test_a_live_memory_of_labels_is_small_and_forgets_the_oldest() -> None:
    """The second of two is known for thousands of labels; hardly a new one is taken for old."""
    seen = LabelDeduplicator(remembered=1_000)
    label = more(1, 1)[0]
    for n in range(1_500):
        seen.add(label._replace(id=str(n)))

    again = LabelDeduplicator(remembered=1_000)
    again.resume(seen.snapshot())
    known = [not again.add(label._replace(id=str(n))) for n in range(600, 1_500)]
    fresh = [again.add(label._replace(id=f"new {n}")) for n in range(3_000)]

    assert all(known) and fresh.count(False) <= 3


def test_a_decision_read_twice_is_taken_once() -> None:
    """Where a group begins anew, it reads old decisions again: the latest one of a scope counts,
    and a new baseline in the making is not thrown away."""
    filter_monitor = a_filter_monitor(with_anchors=False)
    for label in more(3, 5, stratum="x", oracle_key="a"):
        filter_monitor.label(label)
    first = Decision("rebaseline", 100, scope="s")

    assert [step.state for step in filter_monitor.decide(first)] == ["warming"]
    for label in more(4, 90, stratum="x", oracle_key="a"):
        filter_monitor.label(label)
    again = FilterMonitor(UPLIFTING, MonitorConfig(), None)
    for saved in filter_monitor.take_changes():
        again.resume(through_json(saved))
    for taken in (filter_monitor, again):
        assert taken.decide(first) == taken.decide(replace(first, timestamp_ms=99)) == []
        assert [monitor.accumulator.labels for monitor in taken.monitors.by_identity.values()] == [
            90
        ]
        assert taken.decisions.latest("s") == 100 and taken.decisions.latest("other") == -1
    filter_monitor.decide(replace(first, timestamp_ms=101))
    assert [
        monitor.accumulator.labels for monitor in filter_monitor.monitors.by_identity.values()
    ] == [0]


def test_a_baseline_can_be_wanted_before_the_first_label() -> None:
    """Of a student whose packaged baseline is of another oracle: its first labels make one, in
    each stratum, once; another student's monitors begin as ever."""
    filter_monitor = FilterMonitor(UPLIFTING, MonitorConfig(rebaseline_labels=50), None)
    rows = labels(history(1, reference=100, stratum="low"))
    filter_monitor.monitors.expect("2", rows)
    filter_monitor.decide(Decision("rebaseline", 0, student_version="2"))
    resumed = FilterMonitor(UPLIFTING, MonitorConfig(rebaseline_labels=50), None)
    resumed.monitors.expect("2", rows)
    for saved in filter_monitor.take_changes():
        resumed.resume(through_json(saved))

    for version, expected in (("2", [("warming", 49), ("ok", 0)]), ("3", [("warming", 0)] * 2)):
        fresh = more(7, 60, stratum="low", student_version=version)
        steps = []
        for label in fresh[:49]:
            steps += resumed.label(label)
        (monitor,) = (
            item
            for at, item in resumed.monitors.by_identity.items()
            if at.student_version == version
        )
        assert (monitor.state.state, monitor.accumulator.labels) == expected[0]
        resumed.label(fresh[49])
        assert (monitor.state.state, monitor.accumulator.labels) == expected[1]


def test_a_reading_says_where_a_monitor_stands() -> None:
    """Its evidence and error, whose it is, its course, and how fast labels come."""
    filter_monitor = a_filter_monitor(with_anchors=False)
    start = alarmed(filter_monitor)[-1].position
    for label in more(8, 100, WORSE, stratum="x", oracle_key="a"):
        filter_monitor.label(label._replace(position=start + label.position % 100_000 * HOUR))
    (monitor,) = filter_monitor.monitors.by_identity.values()

    reading = monitor_status(monitor)

    assert reading.value >= 10_000 and reading.state.state == "alert"
    assert reading.error is not None and reading.error.low > reading.error.baseline
    assert sum(reading.shares.values()) == pytest.approx(1)
    past = reading.history
    assert past is not None and len(past.positions) == min(reading.labels, 200)
    assert past.positions == sorted(past.positions)
    assert past.evidence[-1] == pytest.approx(reading.value, rel=0.02)
    assert np.mean(past.errors[-reading.recent_labels :]) == pytest.approx(
        reading.error.estimate, abs=0.001
    )
    assert reading.labels_a_day == pytest.approx(24, rel=1)
    empty = monitor_status(
        FilterMonitor(UPLIFTING, MonitorConfig(), None).monitors.new(monitor.identity)
    )
    assert empty.history is None and empty.labels_a_day is None
