"""The drift monitor's loop on topics in memory."""

from __future__ import annotations

import base64
import json
import random
import zlib
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException

from newsieve.errors import DeadLetterLimit, TopicsWrong
from tests.support.drift import PAIRS, errors_times
from tests.support.drift_memory import PARTITIONS, Topics
from tests.support.drift_records import (
    DAY,
    MINUTE,
    START,
    Given,
    decision,
    hash_of,
    label,
    oracle_key,
    scored,
    student_folder,
)
from tests.support.drift_scene import DriftScene
from tests.support.scripted import abortable

WORSE = errors_times(1.8)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return student_folder(tmp_path_factory.mktemp("drift") / "student")


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch, student: Path) -> DriftScene:
    return DriftScene(monkeypatch, student)


def labels(student: Path, count: int, first: int = 0, **facts: Any) -> list[Given]:
    """Healthy ones, a minute apart."""
    rng, name = random.Random(first), hash_of(student)
    return [
        label(f"a{n}", rng.choice(PAIRS), START + n * MINUTE, name, **facts)
        for n in range(first, first + count)
    ]


def worse(student: Path, count: int, first: int) -> list[Given]:
    rng, name = random.Random(first), hash_of(student)
    return [
        label(f"a{n}", WORSE(rng.choice(PAIRS)), START + n * MINUTE, name)
        for n in range(first, first + count)
    ]


def states(topics: Topics, stratum: str | None = None) -> list[str]:
    return [item["state"] for item in topics.alerts() if stratum in (None, item["scope"])]


def test_a_transaction_that_fails_is_taken_back_whole(
    scene: DriftScene, student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the monitors had seen by then was not committed: they begin with what was, and
    nothing is told twice or never."""
    other = DriftScene(monkeypatch, student)
    for item in (scene, other):
        item.topics.give([*labels(student, 50), *worse(student, 150, 50)])

    scene.run(seed=3)
    other.run(3, None, 40, *(KafkaException(abortable()) for _ in range(2)))

    assert len(other.observer.aborts) == 2
    assert "alert" in states(scene.topics)
    assert other.topics.alerts() == scene.topics.alerts()
    assert other.topics.known() == scene.topics.known()


def test_one_that_is_not_chosen_stands_by(scene: DriftScene, student: Path) -> None:
    """Ready to take over, or a rolling update would wait for ever; and it reads and writes
    nothing."""
    scene.topics.give(labels(student, 20))
    scene.is_chosen = False

    scene.run()

    assert scene.monitor.is_ready and scene.observer.at_hand is None
    assert scene.topics.written == [] and scene.topics.offsets == {}
    scene.is_chosen = True
    scene.run()
    assert "ok" in states(scene.topics) and scene.observer.at_hand is not None


def test_of_a_control_topic_with_more_partitions_only_the_first_one_chooses(
    scene: DriftScene, student: Path
) -> None:
    """Or two would be at work, and tell everything twice."""
    scene.topics.give(labels(student, 20))
    scene.partition = 1

    scene.run(stop=iter([False] * 5 + [True]).__next__)

    assert scene.observer.at_hand is None
    assert scene.topics.written == [] and scene.topics.offsets == {}


def test_who_loses_the_partition_commits_first_and_reads_no_more(
    scene: DriftScene, student: Path
) -> None:
    """Even what could have waited for a later commit."""
    scene.topics.give(labels(student, 40))
    scene.commit_seconds = 3_600

    def revoke_at_end() -> bool:
        if scene.inputs.is_read and not scene.topics.offsets:
            scene.member.revoke()
            assert not scene.inputs.is_read
            return True
        return False

    scene.run(stop=revoke_at_end)

    assert sum(scene.topics.offsets.values()) == 40
    assert scene.topics.states()


def test_what_is_not_a_score_is_a_dead_letter_and_too_many_stop_it(
    scene: DriftScene, student: Path
) -> None:
    """Nothing is dropped: the offset is at the first record that was not handled."""
    good = labels(student, 5)
    bad = [Given("oracle.scores", "x", b"{", START + 60 * MINUTE + n) for n in range(110)]
    scene.topics.give([*good, *bad])

    with pytest.raises(DeadLetterLimit):
        scene.run()

    letters = [item for item in scene.topics.written if item[0] == "articles.dead-letter"]
    assert len(letters) == 100
    assert sum(scene.topics.offsets.values()) == 105


def test_time_that_passes_between_two_processes_has_passed(
    scene: DriftScene, student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silence of three days suspends, whether somebody watched or not, at the same moment."""
    before, after = labels(student, 60), labels(student, 5, first=60)
    later = [item.__class__(item.topic, item.key, item.value, item.at + 3 * DAY) for item in after]
    unbroken = DriftScene(monkeypatch, student)
    unbroken.topics.give([*before, *later])

    unbroken.run()
    scene.topics.give(before)
    scene.now = START + 61 * MINUTE  # it has not passed yet
    scene.run()
    scene.topics.give(later)
    scene.now = unbroken.now
    scene.run()

    found = scene.topics.alerts()
    assert found == unbroken.topics.alerts()
    assert [item["state"] for item in found if item["scope"] == "low"].count("suspended") >= 1
    assert "There are labels on low articles again" in str(found)


def test_an_article_counts_once(scene: DriftScene, student: Path) -> None:
    """However often its label comes: redelivered, or scored again by the same student."""
    once = labels(student, 30)
    again = [Given(g.topic, g.key, g.value, g.at + DAY) for g in once for _ in range(3)]
    scene.topics.give([*once, *again])

    scene.run()

    found = [json.loads(v) for v in scene.topics.states().values()]
    assert sum(scene.topics.offsets.values()) == 120
    tested = sum(item.labels for item in scene.statuses())
    assert tested == 30 and len(found) == 4


def test_alerts_are_committed_at_once_and_the_rest_when_it_is_due(
    scene: DriftScene, student: Path
) -> None:
    """An alert does not wait; articles make a state larger than they are, and do."""
    name = hash_of(student)
    scores = PAIRS[0]["student"]
    clamped = {key: min(max(score, 0.0), 10.0) for key, score in scores.items()}
    articles = [scored(f"s{n}", clamped, START + DAY + n, name) for n in range(300)]
    scene.topics.give([*labels(student, 3), *articles])
    scene.commit_seconds = 3_600

    scene.run(piece=10)

    commits = [sum(counts.outcomes.values()) for counts in scene.observer.commits]
    assert sum(commits) == 303 and 2 <= len(commits) <= 4
    assert len(scene.topics.states()) >= 3


def test_partitions_that_are_added_are_read(scene: DriftScene, student: Path) -> None:
    """Within minutes, without a restart."""
    scene.look_for_partitions_seconds = -1.0
    late = ("articles.oracle.scores", PARTITIONS)
    scene.topics.give(labels(student, 20))
    scene.topics.records[late] = labels(student, 5, first=20)
    known = scene.topics.partitions

    def grow() -> list[tuple[str, int]]:
        return [*known(), late] if scene.inputs.polls > 3 else known()

    scene.topics.partitions = grow  # type: ignore[method-assign]

    scene.run()

    assert scene.observer.aborts == ["partitions were added"]
    assert scene.topics.offsets[late] == 5


def test_states_of_other_labels_are_left_alone(scene: DriftScene, student: Path) -> None:
    """A filter whose labels mean something else begins anew; one that cannot be read stops."""
    scene.topics.give(labels(student, 20))
    scene.run()
    before = scene.topics.written

    def changed(value: bytes | None, **facts: Any) -> bytes:
        record = json.loads(value or b"")
        return json.dumps({**record, "detector": record["detector"] | facts}).encode()

    other = "sha256:" + "1" * 64
    scene.topics.written = [
        (t, k, changed(v, label_hash=other)) for t, k, v in before if "state" in t
    ]
    scene.topics.offsets = {}
    scene.run()
    assert states(scene.topics).count("ok") == 2

    scene.topics.written = [(t, k, changed(v, format=3)) for t, k, v in before if "state" in t]
    with pytest.raises(TopicsWrong, match="its format is 3"):
        scene.run()

    broken: tuple[Any, ...] = ({}, {"standing": 5}, {"state": 5, "streams": []}, [])
    squeezed = [
        base64.b85encode(zlib.compress(json.dumps(item).encode())).decode() for item in broken
    ]
    for number, snapshot in [*((1, item) for item in squeezed), *((2, item) for item in broken)]:
        scene.topics.written = [
            (t, k, changed(v, format=number, snapshot=snapshot))
            for t, k, v in before
            if "state" in t
        ]
        with pytest.raises(TopicsWrong, match="cannot be read: "):
            scene.run()


def test_a_changed_oracle_suspends_until_somebody_decides(scene: DriftScene, student: Path) -> None:
    """The decision is one record; its baseline is made of the labels that follow."""
    scene.topics.give([*labels(student, 40), *labels(student, 400, first=40, version="002")])
    scene.topics.give(
        [decision("accept_oracle", START + 60 * MINUTE, oracle_key=oracle_key("002"))]
    )
    scene.now = START + 500 * MINUTE

    scene.run()

    assert states(scene.topics, "low") == ["ok", "suspended", "warming", "ok"]
    suspended = next(item for item in scene.topics.alerts() if item["state"] == "suspended")
    assert oracle_key("002") in suspended["headline"]
    address = "https://newsieve.example/deploy/runbook.md#oracle-changed"
    assert suspended["action"]["runbook"] == address
