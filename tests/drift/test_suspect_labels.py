"""Labels of suspect articles: kept apart from all that is tested, whatever they say."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from newsieve.drift.decision_log import Decision, DecisionKind
from newsieve.drift.filter_monitor import FilterMonitor
from newsieve.drift.input_records import EventReader
from newsieve.drift.label_reader import Label
from newsieve.drift.monitor_state import MonitorConfig
from newsieve.drift.snapshot import Snapshot
from newsieve.drift.suspect_labels import KEPT, SuspectLabels
from tests.support.drift import (
    DIMENSIONS,
    PAIRS,
    UPLIFTING,
    as_it_is,
    draws,
    errors_times,
    history,
    more,
    replay,
)
from tests.support.drift_monitor import a_filter_monitor
from tests.support.drift_records import label as record_of
from tests.support.drift_records import sampling

TERRIBLE = errors_times(4)


def suspects(count: int, at: int = 0, **facts: str) -> list[Label]:
    """That err more than anything, each with a name."""
    found = more(9, count, TERRIBLE, stratum="suspect", **{"oracle_key": "a", **facts})
    return [row._replace(id=f"suspect-{at + n}", position=at + n) for n, row in enumerate(found)]


def test_they_lead_to_nothing_and_change_nothing() -> None:
    """A thousand that err four times as much: no step, no monitor, no anchor asked for, and the
    monitors' snapshots are those of a watch that never saw them."""
    plain, attacked = a_filter_monitor(), a_filter_monitor()
    healthy = more(3, 200, stratum="x", oracle_key="a")

    for at, row in enumerate(healthy):
        plain.label(row)
        attacked.label(row)
        for suspect in suspects(5, at * 5):
            assert attacked.label(suspect) == []

    assert set(attacked.monitors.by_identity) == set(plain.monitors.by_identity)
    for identity, monitor in plain.monitors.by_identity.items():
        assert attacked.monitors.by_identity[identity].snapshot() == monitor.snapshot()
    assert attacked.attribution.wanted == plain.attribution.wanted
    (reading,) = attacked.monitors.suspects.statuses()
    assert (reading.labels, reading.failures, reading.oracle_key) == (1_000, 0, "a")


def test_their_mean_error_is_weighed_by_their_probability() -> None:
    """A label drawn with 0.1 stands for ten, and has an interval where there are enough."""
    found = SuspectLabels()
    rows = suspects(60)
    errors = [float(row.values[0]) for row in rows if row.values is not None]
    for n, row in enumerate(rows):
        found.add(row._replace(pi=0.1 if n % 2 else 1.0))

    (reading,) = found.statuses()

    weights = [10.0 if n % 2 else 1.0 for n in range(60)]
    mean = sum(w * x for w, x in zip(weights, errors, strict=True)) / sum(weights)
    assert reading.error == pytest.approx(mean)
    assert reading.interval is not None and reading.interval[0] < mean < reading.interval[1]


def test_one_counts_once_and_a_failure_is_one_of_the_last_oracle() -> None:
    """Redelivery changes nothing; a refusal has no error."""
    found = SuspectLabels()
    row = suspects(1)[0]
    for _ in range(3):
        found.add(row)
    found.add(row._replace(id="other", values=None, differences=None, oracle_key=""))

    (reading,) = found.statuses()

    assert (reading.labels, reading.failures, reading.interval) == (1, 1, None)


def test_labels_of_different_oracles_never_mix() -> None:
    """The last few students and oracles are kept, and no more."""
    found = SuspectLabels()
    for n in range(KEPT + 3):
        found.add(suspects(1, n, oracle_key=f"oracle-{n}")[0])

    assert [reading.oracle_key for reading in found.statuses()] == [
        f"oracle-{n}" for n in range(3, KEPT + 3)
    ]
    assert all(reading.labels == 1 for reading in found.statuses())


def test_no_decision_makes_a_baseline_of_them() -> None:
    """Whoever writes them would say what is healthy."""
    filter_monitor = a_filter_monitor(config=MonitorConfig(rebaseline_labels=5))
    kinds: tuple[DecisionKind, ...] = ("rebaseline", "accept_oracle")
    for kind in kinds:
        filter_monitor.decide(Decision(kind, 500, "b", scope=kind))
        for row in suspects(20, 600, oracle_key="b"):
            assert filter_monitor.label(row) == []

    assert "suspect" not in {identity.stratum for identity in filter_monitor.monitors.by_identity}


def test_a_filter_monitor_made_of_snapshots_goes_on_with_suspect_labels() -> None:
    """And one of an older version's snapshots begins with none."""
    filter_monitor = a_filter_monitor(with_anchors=False)
    for row in suspects(40):
        filter_monitor.label(row)
    saved = filter_monitor.take_changes()
    again, older = (FilterMonitor(UPLIFTING, MonitorConfig(), None) for _ in range(2))
    for item in saved:
        again.resume(json_again(item))
        older.resume(json_again(item, leave_out="suspects"))
    for row in suspects(60):  # forty of them known
        again.label(row)

    assert [reading.labels for reading in again.monitors.suspects.statuses()] == [60]
    assert older.monitors.suspects.statuses() == []


def test_an_oracle_score_of_the_stratum_is_read() -> None:
    """Live: it is one of three, and a fourth is still none."""
    given = record_of("a", PAIRS[0], 7, sampling=sampling("suspect"), suspect=["role_marker"])

    event = EventReader([UPLIFTING]).read(given.topic, given.value, given.at)

    assert event is not None and isinstance(event.payload, Label)
    assert event.payload.stratum == "suspect"


def test_replay_leaves_them_aside_and_says_so() -> None:
    """Records by their stratum, lines of `newsieve oracle label` by what they say."""
    rows = history(1, (100, as_it_is), reference=200, stratum="low")
    key = {"provider": "gemini", "model": "m", "model_version": "1"}
    of_a_file = [
        {
            "id": f"f{n}",
            "filter": "uplifting",
            "suspect": ["instruction"],
            "status": "labelled",
            "oracle_scores": {"scores": {d: round(row["oracle"][d]) for d in DIMENSIONS}},
            "oracle_key": key,
            "student": row["student"],
        }
        for n, row in enumerate(draws(5, 300, TERRIBLE))
    ]

    done = replay([*rows, *draws(6, 300, TERRIBLE, stratum="suspect"), *of_a_file])

    assert done.code == 0
    assert done.out == replay(rows).out
    assert "600 labels are of suspect articles" in done.err


def json_again(saved: Snapshot, leave_out: str = "") -> Snapshot:
    """As it is read back, perhaps without a part."""
    facts = {name: part for name, part in (saved.detector or {}).items() if name != leave_out}
    return replace(saved, detector=json.loads(json.dumps(facts)))
