"""What the last version before the import names changed has written is taken up by this one.

`recorded/` holds records of that version's own code: the drift monitor's states after an alarm, an
oracle's ledger, the notes that travel with committed offsets.
"""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from newsieve.oracle.budget import Ledger, Spent
from newsieve.oracle.ledger_record import LedgerCodec
from newsieve.stream.crash_note import Note, parse
from tests.support.drift import PAIRS, errors_times
from tests.support.drift_records import MINUTE, hash_of, label, student_folder
from tests.support.drift_scene import DriftScene

RECORDED = Path(__file__).parent / "recorded"
EXPECTED = json.loads((RECORDED / "drift_expected.json").read_bytes())
NOTES = json.loads((RECORDED / "crash_notes.json").read_bytes())


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> DriftScene:
    """A drift monitor that starts with the recorded state topic."""
    student = student_folder(tmp_path / "student")
    shutil.copy(RECORDED / "student.json", student)
    assert hash_of(student) == EXPECTED["student"]
    made = DriftScene(monkeypatch, student)
    made.now = EXPECTED["start"] + 10**9
    for line in (RECORDED / "drift_state.jsonl").read_bytes().splitlines():
        record = json.loads(line)
        value = json.dumps(record["value"]).encode()
        made.topics.written.append(("articles.drift.state", record["key"].encode(), value))
    return made


def readings(scene: DriftScene) -> list[list[Any]]:
    """Stratum, state, evidence and counts of labels of each monitor."""
    return sorted(
        [
            *(item.identity.stratum, item.state.state, round(item.value, 6)),
            *(item.labels, item.baseline_labels),
        ]
        for item in scene.statuses()
    )


def test_a_drift_monitor_stands_where_the_former_version_left_it(scene: DriftScene) -> None:
    """An alarm that was raised stays raised, with its evidence and its counts."""
    assert readings(scene) == EXPECTED["readings"]
    assert {state for _, state, *_ in EXPECTED["readings"]} == {"alert"}


def test_a_drift_monitor_goes_on_as_the_former_version_would_have(scene: DriftScene) -> None:
    """After further labels it says what that version said after them, and it repeats no alert."""
    worse, rng = errors_times(1.8), random.Random(150)
    scene.topics.give(
        [
            label(f"a{n}", worse(rng.choice(PAIRS)), EXPECTED["start"] + n * MINUTE, name)
            for name in [EXPECTED["student"]]
            for n in range(150, 230)
        ]
    )

    scene.run(seed=4)

    assert readings(scene) == EXPECTED["later_readings"]
    assert scene.topics.alerts() == []


def test_a_budget_ledger_is_taken_up_whole() -> None:
    """What was spent, claimed and published that day counts on."""
    record = json.loads((RECORDED / "ledger.json").read_bytes())
    codec = LedgerCodec("articles.control", "oracle", "newsieve")

    found = codec.read([4], {record["key"].encode(): json.dumps(record["value"]).encode()})

    sources = {"ab12": Spent(2, 0.05)}
    assert found == {4: Ledger("2026-11-22", 7, 0.125, {12: 1, 9: 2}, frozenset({3}), sources)}


@pytest.mark.parametrize("note", NOTES, ids=lambda note: note["text"].partition(" ")[2])
def test_a_crash_note_is_understood(note: dict[str, Any]) -> None:
    """Every field of it, or a record that ends processes would be tried anew."""
    assert parse(note["text"]) == Note(**note["fields"])
