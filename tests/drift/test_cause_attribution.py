"""Why production errs more: named right, and when."""

from __future__ import annotations

import pytest

from newsieve.drift.alerts import drift_alert
from newsieve.drift.cause_attribution import CauseSigns, cause_of_alarm
from newsieve.drift.monitor_state import Transition
from tests.support.drift import DAY
from tests.support.drift_field import load_field
from tests.support.drift_incidents import HOUR, Stage, World, worlds
from tests.support.drift_monitor import SUBJECT, a_filter_monitor, alarmed, answer, canary

FIELD = load_field()


@pytest.mark.parametrize(
    ("anchors_alarm", "canaries_moved", "is_shifted", "cause"),
    [
        (False, False, False, "concept_drift"),
        (False, False, True, "data_drift"),
        (True, False, False, "oracle_drift"),
        (True, False, True, "oracle_drift"),
        (True, True, True, "serving_defect"),
        (False, True, False, "serving_defect"),
        (None, True, False, "serving_defect"),
        (None, False, True, "unknown"),
    ],
)
def test_the_table_of_causes(
    anchors_alarm: bool | None,  # noqa: FBT001
    canaries_moved: bool,  # noqa: FBT001
    is_shifted: bool,  # noqa: FBT001
    cause: str,
) -> None:
    """Of an alarm of labelled articles."""
    assert cause_of_alarm(CauseSigns(anchors_alarm, canaries_moved, is_shifted)) == cause


@pytest.mark.parametrize("cause", list(worlds(FIELD)))
def test_an_incidents_cause_is_named(cause: str) -> None:
    """From the first article to the alert, two strata, anchors, canaries and hourly windows."""
    alert = Stage(FIELD, 7).run(worlds(FIELD)[cause])

    assert alert is not None and alert.cause == cause


def test_without_anchors_an_alert_comes_at_once() -> None:
    """And says that its cause is not known."""
    filter_monitor = a_filter_monitor(with_anchors=False)

    steps = alarmed(filter_monitor)

    assert (steps[-1].state, steps[-1].cause) == ("alert", "unknown")
    assert filter_monitor.attribution.wanted == []


def test_an_alarm_asks_for_anchors_and_waits_for_forty() -> None:
    """Beside the one that every third label asks for."""
    filter_monitor = a_filter_monitor()
    steps = alarmed(filter_monitor)
    assert steps[-1].state == "warning"
    wanted = filter_monitor.attribution.wanted[-40:]
    assert len(set(wanted)) == 40

    filter_monitor.attribution.wanted = wanted[:39]
    assert [step.identity.stratum for step in answer(filter_monitor, 7)] == [
        "anchors"
    ]  # they are watched
    filter_monitor.attribution.wanted = wanted[39:]
    steps = answer(filter_monitor, 8)

    assert [(step.state, step.cause) for step in steps] == [("alert", "concept_drift")]


def test_a_day_is_enough_when_no_anchor_comes() -> None:
    """A silent oracle does not keep an alert back for ever."""
    filter_monitor = a_filter_monitor()
    at = alarmed(filter_monitor)[-1].position

    assert [step for step in filter_monitor.tick(at + DAY - 1_000) if step.state == "alert"] == []
    steps = filter_monitor.tick(at + DAY + 1_000)

    assert [(step.state, step.cause) for step in steps] == [("alert", "concept_drift")]


def test_moved_canaries_are_a_serving_defect_at_once() -> None:
    """One worker of several is enough; it is over when none has said so for two hours. An alarm
    that waits for its cause has it."""
    filter_monitor = a_filter_monitor()
    alarmed(filter_monitor)

    steps = filter_monitor.canaries(canary(0, passed=False))

    assert [(step.state, step.cause, step.severity) for step in steps] == [
        ("alert", "serving_defect", "critical"),
        ("alert", "serving_defect", "warning"),
    ]
    assert "0.700" in drift_alert(steps[0], SUBJECT, "c", "https://r.example/book")["headline"]
    assert filter_monitor.canaries(canary(1, passed=True)) == []
    assert filter_monitor.canaries(canary(HOUR, passed=False)) == []
    assert filter_monitor.canaries(canary(2 * HOUR, passed=True)) == []
    over = filter_monitor.canaries(canary(3 * HOUR, passed=True))
    assert [(step.state, step.previous_state) for step in over] == [("resolved", "alert")]


def test_a_benign_shift_informs() -> None:
    """Articles have moved, labels are quiet: info, and over when they are back."""
    stage = Stage(FIELD, 3)
    found: list[Transition] = []
    for hour in range(32):
        world = World(moved=1.0) if 26 <= hour < 29 else World()
        found += stage.hour(hour * HOUR, world)

    shifts = [step for step in found if step.identity.stratum == "articles"]
    assert [(step.state, step.severity, step.cause) for step in shifts] == [
        ("warning", "info", "benign_shift"),
        ("ok", "info", "benign_shift"),
    ]
    assert (
        "have shifted" in drift_alert(shifts[0], SUBJECT, "c", "https://r.example/book")["headline"]
    )
    assert "wasserstein:wonder" in [part.name for part in shifts[0].parts]
