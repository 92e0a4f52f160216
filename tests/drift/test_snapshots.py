"""A monitor that is stopped anywhere and goes on is the monitor that was not."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from newsieve.drift.monitor_state import MonitorConfig, Transition
from newsieve.drift.stratum_monitor import StratumMonitor
from tests.support.drift import (
    DAY,
    IDENTITY,
    STREAMS,
    as_it_is,
    errors_times,
    feed,
    history,
    labels,
    monitor_after,
    monitor_of,
    more,
    moved,
    refused,
    states,
)

WORSE = errors_times(1.6)

Event = Callable[[StratumMonitor], Transition | None]


def life() -> list[Event]:
    """Labels, failures, another oracle, decisions and time, in a year of a monitor."""
    rows = [
        *more(1, 120, oracle_key="a"),
        *more(2, 120, WORSE, oracle_key="a"),
        *more(3, 500, oracle_key="a"),
        *more(4, 10, moved(2), oracle_key="b"),
    ]
    events: list[Event] = [lambda monitor, row=row: monitor.label(row) for row in rows]  # type: ignore[misc]
    events.insert(700, lambda monitor: monitor.label(refused(9, "a")))
    events.insert(300, lambda monitor: monitor.tick(9 * DAY))
    events.append(lambda monitor: monitor.accept("b", 99))
    after = more(5, 260, moved(1), oracle_key="b") + more(6, 300, moved(3), oracle_key="b")
    events += [lambda monitor, row=row: monitor.label(row) for row in after]  # type: ignore[misc]
    events.append(lambda monitor: monitor.set_cause("data_drift", 5))
    events.append(lambda monitor: monitor.tick(40 * DAY))
    return events


@pytest.mark.parametrize("awaits_causes", [False, True])
def test_a_monitor_stopped_at_any_moment_takes_the_same_steps(awaits_causes: bool) -> None:  # noqa: FBT001
    """Twenty times at random, resumed from JSON; the last snapshots are equal, bit by bit."""
    rules = MonitorConfig(awaits_causes=awaits_causes, silence=20 * DAY, reminder=DAY)
    events = life()
    reference = labels(history(1, oracle_key="a"))[:500]
    cuts = set(random.Random(2).sample(range(len(events)), 20))

    unbroken, broken = monitor_of(reference, rules), monitor_of(reference, rules)
    expected, found = [], []
    for at, event in enumerate(events):
        if at in cuts:
            facts = json.loads(json.dumps(broken.snapshot()))
            broken = StratumMonitor.restore(IDENTITY, STREAMS, rules, facts)
        expected.append(event(unbroken))
        found.append(event(broken))

    assert found == expected
    reached = {step.state for step in expected if step is not None}
    assert {"ok", "alert", "suspended", "warming"} <= reached
    assert broken.snapshot() == unbroken.snapshot()


def test_a_snapshot_is_small() -> None:
    """Whatever has happened: with long ids, weights and times of all kinds."""
    rng = random.Random(3)
    rows = history(21, (600, as_it_is), (300, WORSE), reference=300)
    for row in rows:
        row["pi"] = rng.random() * 0.9 + 0.1
        row["id"] = f"{rng.getrandbits(900):0115x}"[:115]
    everything = [row._replace(position=rng.getrandbits(41)) for row in labels(rows)]
    monitor = monitor_of(everything[:300])

    steps = feed(monitor, everything[300:])

    assert "alert" in states(steps)
    assert len(json.dumps(monitor.snapshot())) < 20_000


def test_steps_are_values() -> None:
    """A transition can be kept, compared and told again."""
    _, steps = monitor_after(22, (10, as_it_is))

    assert replace(steps[0], is_reminder=True) != steps[0] == replace(steps[0])
