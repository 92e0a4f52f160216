"""Snapshots of earlier formats, and of other streams, are taken up."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from prometheus_client import generate_latest

from newsieve.drift.error_streams import Comparison, ErrorStreams, Floats, Stream, streams_of
from newsieve.drift.filter_monitor import FilterMonitor
from newsieve.drift.label_reader import Label, LabelReader
from newsieve.drift.monitor_state import MonitorConfig
from newsieve.drift.output_records import read_state
from newsieve.drift.snapshot import Snapshot
from newsieve.drift.snapshot_formats import FORMAT
from newsieve.programs.drift.current_state import CurrentState, MonitorGroup
from newsieve.programs.drift.observer import MonitorObserver
from newsieve.programs.drift.session import MonitoredFilter, resume
from newsieve.stream.metrics import DriftMetrics
from newsieve.stream.watchdog import Watchdog
from newsieve.web.drift_overview import overview_items
from newsieve.web.drift_page import page
from tests.support.drift import PAIRS, UPLIFTING, draws, lines
from tests.support.drift_lives import ENCODER, LIVES, RECORDED, Outcome, fresh

FINER = {"low", "high", "estimate", "interval"}  # estimates, which format 1 rounded
POINTS = 2e-3  # by as much


def taken_up(name: str) -> FilterMonitor:
    monitor = fresh(name)
    states = {key.encode(): value.encode() for key, value in RECORDED[name]["states"]}
    resume({"uplifting": MonitoredFilter(monitor, ENCODER, {})}, states)
    return monitor


def without_estimates(alert: dict[str, Any]) -> dict[str, Any]:
    """What must be equal bit by bit. A headline quotes estimates, and the label hash is that of
    today's rendering or of an earlier one."""
    streams = [{k: v for k, v in part.items() if k not in FINER} for part in alert["streams"]]
    means_the_same = UPLIFTING.has_meaning(alert["label_hash"])
    return {**alert, "streams": streams, "headline": "", "label_hash": means_the_same}


@pytest.mark.parametrize("name", LIVES)
def test_a_snapshot_of_the_first_format_goes_on_as_before(name: str) -> None:
    """A warning, an incident, a suspension, a search for a cause and a serving defect, recorded
    with the version that wrote format 1: evidence, alerts, duplicates, anchors, canaries and
    decisions are what they were there, bit by bit."""
    monitor, outcome = taken_up(name), Outcome([], [])

    LIVES[name].after(monitor, outcome)

    recorded = RECORDED[name]
    assert outcome.evidence == recorded["evidence"]
    alerts = [json.loads(json.dumps(ENCODER.alert_fields(step))) for step in outcome.steps]
    assert [*map(without_estimates, alerts)] == [*map(without_estimates, recorded["alerts"])]
    for ours, theirs in zip(alerts, recorded["alerts"], strict=True):
        for now, then in zip(ours["streams"], theirs["streams"], strict=True):
            assert now["estimate"] == pytest.approx(then["estimate"], abs=POINTS)
            assert now["interval"] == pytest.approx(then["interval"], abs=POINTS)


@pytest.mark.parametrize("name", LIVES)
def test_a_life_that_was_not_cut_leads_to_the_recorded_alerts(name: str) -> None:
    """The recorded halves are of the same lives: nothing has changed for who never restarts."""
    life, before, after = LIVES[name], Outcome([], []), Outcome([], [])
    monitor = life.monitor()

    life.before(monitor, before)
    monitor.attribution.wanted.clear()
    life.after(monitor, after)

    assert after.evidence == RECORDED[name]["evidence"]
    assert [step.state for step in after.steps] == [
        alert["state"] for alert in RECORDED[name]["alerts"]
    ]


def test_a_snapshot_says_its_format() -> None:
    """And one of the first format is written in today's with the next change."""
    written = [ENCODER.state(saved, 5) for saved in taken_up("incident").take_changes()]

    kept = [read_state(item.key or b"", item.value or b"") for item in written]
    assert {item.format for item in kept} == {FORMAT}


def surprise(articles: Comparison) -> Floats:
    """Whether any dimension is off by five points."""
    found: Floats = (np.abs(articles.differences).max(axis=1) >= 5).astype(float)
    return found


MINE = Stream("surprise", "error", (0, 1), 0.5, surprise, "The share of surprises", "share", "mine")
WITH_MINE = ErrorStreams(UPLIFTING, [MINE, *streams_of(UPLIFTING)])  # first: no place is special


def labels_of(streams: ErrorStreams, rows: list[dict[str, Any]], start: int = 0) -> list[Label]:
    found = LabelReader("uplifting", streams).read(
        (start + at, line) for at, line in enumerate(lines(rows).splitlines())
    )
    return [item for item in found if isinstance(item, Label)]


def startled(pair: dict[str, Any]) -> dict[str, Any]:
    """Wonder is off by six points, and all other dimensions are exact: the mean falls."""
    student = {**pair["oracle"], "wonder": (pair["oracle"]["wonder"] + 6) % 12}
    return {**pair, "student": student}


def monitor_with_mine() -> FilterMonitor:
    monitor = FilterMonitor(UPLIFTING, MonitorConfig(), None, WITH_MINE)
    for label in labels_of(WITH_MINE, draws(1, 400, purpose="reference", stratum="low")):
        monitor.label(label._replace(student_version="s"))
    return monitor


def test_a_stream_of_ones_own_is_seen_wherever_streams_are() -> None:
    """A row of the table: it alarms by its own evidence, and alert, page and metrics show it."""
    monitor = monitor_with_mine()
    steps = []
    for label in labels_of(WITH_MINE, draws(2, 120, startled, stratum="low"), 400):
        steps += monitor.label(label._replace(student_version="s"))
    assert WITH_MINE.weights.sum() == pytest.approx(1, abs=1e-12)

    alert = ENCODER.alert_fields(next(step for step in steps if step.state == "alert"))
    assert alert["streams"][0]["name"] == "surprise"
    assert alert["headline"].startswith("The share of surprises on low articles rose from ")

    monitored = {"uplifting": MonitoredFilter(monitor, ENCODER, {})}
    record, group = CurrentState(monitored, {}), MonitorGroup("g", at_work=True, standing_by=0)
    shown = page(overview_items(record, 1_000), record, group, 1_000)
    assert ">mine<" in shown and "The share of surprises" in shown

    metrics = DriftMetrics()
    observer = MonitorObserver(metrics, Watchdog(60, lambda: None), dict)
    observer.measured([monitor], 0)
    sample = 'newsieve_drift_state{filter="uplifting",state="alert",stratum="low"} 1.0'
    assert sample in generate_latest(metrics.registry).decode()


def test_a_snapshot_without_a_new_stream_is_taken_up() -> None:
    """All other streams keep their evidence bit by bit; the new one is not tested before a new
    baseline knows what is usual for it."""
    plain, grown = fresh("warning"), FilterMonitor(UPLIFTING, MonitorConfig(), None, WITH_MINE)
    outcome = Outcome([], [])
    rows = [*draws(1, 400, purpose="reference", stratum="low"), *draws(2, 90, stratum="low")]
    streams = ErrorStreams(UPLIFTING)
    for label in labels_of(streams, rows):
        outcome.steps.extend(plain.label(label))
    for saved in plain.take_changes():
        grown.resume(replace(saved, detector=json.loads(json.dumps(saved.detector))))

    more = draws(3, 60, stratum="low")
    for ours, theirs in zip(
        labels_of(WITH_MINE, more, 490), labels_of(streams, more, 490), strict=True
    ):
        grown.label(ours)
        plain.label(theirs)
    (old,), (new,) = plain.monitors.by_identity.values(), grown.monitors.by_identity.values()
    assert old.test is not None and new.test is not None
    then, now = old.test._bank.evidence(), new.test._bank.evidence()
    assert now[0] == 0 and (now[1:] == then).all() and then.any()

    for label in labels_of(WITH_MINE, draws(4, 200, startled, stratum="low"), 550):
        grown.label(label)
    assert new.test.shares()["surprise"] == 0
    new.rebaseline(800)
    for label in labels_of(WITH_MINE, draws(5, 200, stratum="low"), 801):
        grown.label(label)
    for label in labels_of(WITH_MINE, draws(6, 60, startled, stratum="low"), 1_100):
        grown.label(label)
    assert new.test is not None and new.test.shares()["surprise"] > 0


def test_a_snapshot_with_a_stream_that_is_gone_is_taken_up() -> None:
    """Also in an incident that it alone led to."""
    monitor = monitor_with_mine()
    for label in labels_of(WITH_MINE, draws(2, 120, startled, stratum="low"), 400):
        monitor.label(label._replace(student_version="s"))
    again = fresh("warning")
    for saved in monitor.take_changes():
        assert isinstance(saved, Snapshot)
        again.resume(replace(saved, detector=json.loads(json.dumps(saved.detector))))

    for label in labels_of(ErrorStreams(UPLIFTING), draws(7, 400, stratum="low"), 600):
        again.label(label._replace(student_version="s"))
    (restored,) = again.monitors.by_identity.values()
    assert restored.state.state in ("resolved", "ok") and len(PAIRS) > 0
