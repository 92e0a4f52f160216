"""What a drift monitor makes of records that somebody else wrote."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from newsieve_schemas.drift import DriftAlert
from tests.support.drift import PAIRS
from tests.support.drift_records import (
    MINUTE,
    START,
    Given,
    canaries,
    hash_of,
    label,
    oracle,
    sampling,
    student_folder,
)
from tests.support.drift_scene import DriftScene


def test_what_others_put_on_the_topics_does_no_harm_to_a_takeover(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Names that are snapshots' own or have no end, times that are no dates: put aside, or taken
    without harm, and whoever goes on finds a small state that can be read."""
    student = student_folder(tmp_path / "student")
    scene, name = DriftScene(monkeypatch, student), hash_of(student)
    given = [label(f"a{n}", PAIRS[n], START + n * MINUTE, name) for n in range(90)]
    changes: list[dict[str, Any]] = [
        {"sampling": sampling("watch")},
        {"sampling": sampling("sketches"), "student": ""},
        {"sampling": sampling("s" * 10**6)},
        {"oracle": oracle("v" * 10**6)},
    ]
    for label_, change in zip(given[40:44], changes, strict=True):
        value = json.dumps(json.loads(label_.value) | change).encode()
        scene.topics.give([Given(label_.topic, label_.key, value, label_.at)])
    scene.topics.give([*given[:40], canaries(-(10**15), passed=False)])
    scene.run()

    scene.topics.give(given[50:])
    scene.run()

    assert len(scene.topics.of("dead-letter")) == len(changes)
    assert sum(item.labels for item in scene.statuses()) == 80
    for alert in scene.topics.alerts():
        DriftAlert.model_validate_json(json.dumps(alert), extra="forbid")
    assert sum(len(value) for value in scene.topics.states().values()) < 64_000


def test_a_time_that_is_no_date_is_no_latency(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The record is handled when it comes; what latency it had is not known, and not made up."""
    student = student_folder(tmp_path / "student")
    scene, name = DriftScene(monkeypatch, student), hash_of(student)
    given = [label(f"a{n}", PAIRS[n], START + n * MINUTE, name) for n in range(10)]
    strange = replace(given[5], at=START * 1_000)  # in microseconds

    def later() -> bool:
        scene.now += 10_000  # a record without a time waits for what may come before it
        return False

    scene.topics.give([*given[:5], strange, *given[6:]])
    scene.run(stop=later)

    tallies = scene.observer.commits
    assert sum(counts.records for counts in tallies) == 10
    assert sorted(stamp for counts in tallies for stamp in counts.timestamps_ms) == [
        item.at for item in given if item.key != strange.key
    ]
