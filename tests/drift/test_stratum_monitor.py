"""One monitor's states: what leads to them, and that nothing is forgotten in between."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsieve.drift.label_reader import REFERENCE
from newsieve.drift.monitor_state import MonitorConfig, level
from newsieve_schemas.drift import State
from tests.support.drift import (
    as_it_is,
    draws,
    errors_times,
    feed,
    history,
    labels,
    monitor_after,
    monitor_of,
    more,
    refused,
    states,
)

WORSE = errors_times(1.6)


@pytest.mark.parametrize(
    ("value", "state", "expected"),
    [
        (199, "ok", "ok"),
        (200, "ok", "pending"),
        (1_999, "ok", "pending"),
        (2_000, "pending", "warning"),
        (10_000, "ok", "alert"),
        (101, "pending", "pending"),
        (99, "pending", "ok"),
        (1_001, "warning", "warning"),
        (999, "warning", "pending"),
        (50, "warning", "ok"),
        (300, "resolved", "pending"),
        (3, "resolved", "ok"),
    ],
)
def test_a_level_is_left_below_half_of_its_threshold(
    value: float, state: State, expected: State
) -> None:
    """So that evidence around a threshold makes one step, not many."""
    assert level(value, state) == expected


@given(st.floats(0, 1e6), st.sampled_from(["ok", "pending", "warning"]))
def test_a_level_stays_where_it_was_put(value: float, state: State) -> None:
    """The same evidence again leads nowhere else, but an alert is final."""
    reached = level(value, state)

    assert reached == "alert" or level(value, reached) == reached


def test_the_first_label_begins_the_test() -> None:
    """Warming until then, also with a whole reference."""
    rows = labels(history(1, (3, as_it_is)))
    monitor = monitor_of(rows[:500])
    assert monitor.state.state == "warming"

    steps = feed(monitor, rows[500:])

    assert [(step.previous_state, step.state, step.reason) for step in steps] == [
        ("warming", "ok", "baseline")
    ]
    assert not monitor.reference(rows[0])


def test_a_bias_does_not_resolve_while_it_lasts() -> None:
    """The error may be what it was: recovery is asked of the streams that were blamed."""
    turned = lambda pair: {  # noqa: E731 - the error's size stays, its sign goes
        **pair,
        "student": {
            k: pair["oracle"][k] + abs(v - pair["oracle"][k]) for k, v in pair["student"].items()
        },
    }
    monitor, steps = monitor_after(2, (50, as_it_is), (1_500, turned))
    assert states(steps)[-1] == "alert"
    assert steps[-1].parts[0].name.startswith(("bias+", "b+:"))

    steps = feed(monitor, more(3, 600))

    assert states(steps)[:2] == ["recovering", "resolved"]


def test_resolved_is_followed_by_ok_and_a_fresh_test() -> None:
    """What had been seen before the incident counts no more."""
    _, steps = monitor_after(3, (50, as_it_is), (200, WORSE), (800, as_it_is))

    found = states(steps)

    at = found.index("resolved")
    assert found[at - 2 : at + 2] == ["alert", "recovering", "resolved", "ok"]
    assert steps[at + 1].position == steps[at].position + 1
    assert steps[at + 1].value < 10


def test_refusals_alarm_and_end() -> None:
    """Named `fail`; resolved when answers come again."""
    monitor, _ = monitor_after(4, (100, as_it_is))
    failing = [refused(1_000 + n) if n % 6 == 0 else label for n, label in enumerate(more(5, 120))]

    steps = feed(monitor, failing)

    alert = next(step for step in steps if step.state == "alert")
    assert [part.name for part in alert.parts] == ["fail"]
    assert alert.parts[0].low > alert.parts[0].baseline == 0
    assert "resolved" in states(feed(monitor, more(6, 2_500)))


def test_when_everything_is_refused_there_is_an_alert_with_a_stream() -> None:
    """No label is needed for it."""
    monitor, steps = monitor_after(5)
    steps = feed(monitor, [refused(n) for n in range(300)])

    alert = next(step for step in steps if step.state == "alert")
    assert alert.parts[0].name == "fail" and alert.parts[0].estimate == 1
    assert alert.labels.mean_error is None


def test_a_refusal_is_of_no_oracle() -> None:
    """It does not suspend, nor make its key the accepted one."""
    monitor, _ = monitor_after(6, (20, as_it_is), oracle_key="a")

    steps = feed(monitor, [refused(1_000, key="?")])

    assert steps == [] and monitor.state.oracle_key == "a"


def test_the_service_level_raises_severity_and_no_alert() -> None:
    """MAE ≤ 1.2: broken, an alert is critical; alone it says nothing."""
    _, mild = monitor_after(7, (50, as_it_is), (600, errors_times(1.25)))
    _, severe = monitor_after(7, (50, as_it_is), (600, errors_times(1.9)))
    bad = labels(history(8, (1_000, errors_times(2)), reference=0))
    reference = labels(draws(9, 300, errors_times(2), purpose=REFERENCE, stratum="x"))
    always_bad = feed(monitor_of(reference), bad)

    assert "critical" not in [step.severity for step in mild]
    alert = next(step for step in severe if step.state == "alert")
    assert alert.severity in ("warning", "critical")
    later = [step.severity for step in severe]
    assert "critical" in later or alert.severity == "warning"
    assert "alert" not in states(always_bad)


def test_an_alarm_waits_for_its_verdict() -> None:
    """Warning until then; nothing is tested; the cause makes it an alert, once."""
    config = MonitorConfig(awaits_causes=True)
    monitor, steps = monitor_after(17, (20, as_it_is), (400, WORSE), config=config)
    assert states(steps)[-1] == "warning" and monitor.state.awaits_cause

    step = monitor.set_cause("concept_drift", 999)

    assert step is not None and (step.state, step.cause) == ("alert", "concept_drift")
    assert step.value >= 10_000 and step.parts
    assert monitor.set_cause("data_drift", 1_000) is None
    steps = feed(monitor, more(1, 800))
    assert [step.cause for step in steps if step.state == "resolved"] == ["concept_drift"]


def test_a_replaced_students_incident_is_over() -> None:
    """Nobody will recover it."""
    alarmed, _ = monitor_after(18, (20, as_it_is), (150, WORSE))
    calm, _ = monitor_after(19, (20, as_it_is))

    step = alarmed.retire(9)

    assert step is not None and (step.state, step.reason) == ("resolved", "replaced")
    assert calm.retire(9) is None


def test_example_articles_are_bad_ones_of_late() -> None:
    """Those on which the blamed stream is worst; very long ids are none."""
    rows = history(20, (100, as_it_is), (60, errors_times(2, "wonder")), reference=300)
    for at, row in enumerate(rows):
        row["id"] = f"a{at}" if at % 2 else "long" * 50
    everything = labels(rows)
    monitor = monitor_of(everything[:300])

    steps = feed(monitor, everything[300:])

    alert = next(step for step in steps if step.state == "alert")
    assert alert.labels.examples and all(name.startswith("a") for name in alert.labels.examples)
    worst = [float(np.abs(everything[int(name[1:])].values[8])) for name in alert.labels.examples]
    assert worst == sorted(worst, reverse=True) and worst[0] > 1
