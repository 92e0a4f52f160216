"""A monitor that is killed again and again publishes what an unbroken one does."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.drift import PAIRS, errors_times
from tests.support.drift_records import (
    MINUTE,
    START,
    Given,
    anchor_file,
    anchor_label,
    canaries,
    decision,
    hash_of,
    label,
    oracle_key,
    scored,
    student_folder,
)
from tests.support.drift_scene import DriftScene

WORSE = errors_times(1.8)
ANCHORS = [f"anchor-{n}" for n in range(50)]
KILLS = 20


def history(student: str) -> list[Given]:
    """A day and a half of a filter: labels of a healthy student, of one that errs, of another
    oracle; its anchors, articles, canaries that move once, an operator's decisions, garbage."""
    rng = random.Random(5)
    found: list[Given] = []
    for n in range(700):
        at = START + n * 3 * MINUTE
        pair = rng.choice(PAIRS)
        pair = WORSE(pair) if 200 <= n < 400 else pair
        version = "002" if 600 <= n < 650 else "001"
        found.append(label(f"a{n % 690}", pair, at, student, version))
        scores = {name: min(max(score, 0.0), 10.0) for name, score in pair["student"].items()}
        found += [scored(f"s{n}.{k}", scores, at + k, student) for k in range(2)]
        if n % 3 == 0:
            found.append(anchor_label(ANCHORS[n // 3 % 50], n // 3 % 50, at + 7, version))
        if n % 20 == 0:
            found.append(canaries(at + 5, passed=n != 500, student=student))
    found.append(Given("oracle.scores", "garbage", b"{", START + 300 * MINUTE))
    found.append(decision("acknowledge", START + 1_000 * MINUTE))
    found.append(decision("accept_oracle", START + 1_900 * MINUTE, oracle_key=oracle_key("002")))
    return found


def test_a_monitor_killed_at_random_moments_publishes_the_same_alerts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Twenty times, in and between transactions, its inputs in another order each time: the same
    alerts and questions, bit by bit, the same dead letters, the same state."""
    folder = student_folder(tmp_path / "student")
    anchors = anchor_file(tmp_path / "anchors.jsonl", ANCHORS)
    unbroken, broken = (DriftScene(monkeypatch, folder, drift__anchors=anchors) for _ in range(2))
    for scene in (unbroken, broken):
        scene.topics.give(history(hash_of(folder)))

    unbroken.run(seed=1)
    committed = broken.run_broken(seed=2, kills=KILLS, longest=60)

    assert len(committed) == KILLS and len(set(committed)) > KILLS // 2
    assert max(committed) < sum(unbroken.topics.offsets.values())
    assert broken.topics.alerts() == unbroken.topics.alerts()
    assert broken.topics.of("oracle.requests") == unbroken.topics.of("oracle.requests")
    assert broken.topics.of("dead-letter") == unbroken.topics.of("dead-letter") == [b"{"]
    assert broken.topics.known() == unbroken.topics.known()
    assert broken.topics.offsets == unbroken.topics.offsets
    found = {(alert["state"], alert["cause"]) for alert in unbroken.topics.alerts()}
    assert {("alert", "concept_drift"), ("resolved", "concept_drift")} <= found
    assert {("alert", "serving_defect"), ("suspended", "unknown"), ("warming", "unknown")} <= found
