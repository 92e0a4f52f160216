"""The collector reads each record once, texts first, and gets over what happens to topics."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pytest

from newsieve.errors import BrokerUnavailable, RecordError, TopicsWrong
from newsieve.kafka.messages import ConsumedRecord, GroupRecord
from newsieve.kafka.offsets import Partition
from newsieve.programs.collecting.loop import CollectorLoop, Routes
from newsieve.records.decode import RawRecord
from newsieve.store.rows import Row, TextRow, outcome_row
from tests.support.scored_records import identity, scored

RAW = ("raw", 0)
SCORED = ("scored", 0)


class Topics:
    """Two topics in memory, read as by a consumer; `failures` are raised by the next polls."""

    def __init__(self) -> None:
        self.records: dict[Partition, list[RawRecord]] = {RAW: [], SCORED: []}
        self.first: dict[Partition, int] = {RAW: 0, SCORED: 0}
        self.failures: list[Exception] = []
        self.starts: list[dict[Partition, int]] = []
        self.held: set[Partition] = set()
        self._next: dict[Partition, int] = {}

    def bounds(self) -> dict[Partition, tuple[int, int]]:
        return {
            item: (self.first[item], self.first[item] + len(records))
            for item, records in self.records.items()
        }

    def start(self, offsets: Mapping[Partition, int]) -> None:
        self.starts.append(dict(offsets))
        self._next = dict(offsets)
        self.held = set()

    def hold(self, partitions: Collection[Partition]) -> None:
        self.held = set(partitions)

    def poll(self, seconds: float) -> list[GroupRecord]:  # noqa: ARG002 - as called
        if self.failures:
            raise self.failures.pop(0)
        found: list[GroupRecord] = []
        for partition, offset in self._next.items():
            if partition in self.held:
                continue
            end = self.bounds()[partition][1]
            if offset < end:
                record = self.records[partition][offset - self.first[partition]]
                found.append(ConsumedRecord(record, partition, offset))
                self._next[partition] = offset + 1
            if self._next[partition] == end:
                found.append(ConsumedRecord(None, partition, end))
        return found

    def lag(self) -> dict[Partition, int]:
        return {}

    def close(self) -> None:
        self._next = {}


class Rows:
    """What was written, and the offsets behind it."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.offsets: dict[Partition, int] = {}

    def positions(self) -> dict[Partition, int]:
        return dict(self.offsets)

    def write(self, rows: list[Row], offsets: Mapping[Partition, int]) -> None:
        self.rows += rows
        self.offsets |= offsets


class Notes:
    """What the observer was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def heartbeat(self) -> None: ...

    def started(self, partitions: int, records: int) -> None:
        self.told.append(f"started {partitions} {records}")

    def written(self, rows: Sequence[Row], seconds: float) -> None: ...

    def refused(self, topic: str, partition: int, offset: int, error: RecordError) -> None:
        self.told.append(f"refused {topic}/{partition}/{offset} {error.name}")

    def interrupted(self, reason: str, seconds: float) -> None:
        self.told.append(f"interrupted {seconds:g} {reason}")

    def expired(self, partition: Partition, records: int) -> None:
        self.told.append(f"expired {partition[0]} {records}")

    def made_anew(self, partition: Partition, stored: int, end: int) -> None:
        self.told.append(f"made anew {partition[0]} {stored} {end}")

    def measured(self, lag: Mapping[Partition, int]) -> None: ...


def raw(name: str) -> RawRecord:
    return RawRecord(name.encode(), None, None, None, {"topic": "raw", "partition": 0, "offset": 0})


def make_text(record: RawRecord) -> TextRow | None:
    return None if record.value == b"bad" else TextRow(record.value, None, None, 0, "")


class Scene:
    def __init__(self) -> None:
        self.topics, self.store, self.notes = Topics(), Rows(), Notes()
        self.begin()

    def begin(self) -> None:
        routes = Routes({"raw": make_text, "scored": outcome_row}, "raw")
        self.loop = CollectorLoop(self.topics, self.store, routes, self.notes, lambda: 0)

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.loop.step()


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_texts_are_read_to_their_end_before_anything_else(scene: Scene) -> None:
    """An outcome that is read finds its text, however far the topics are behind."""
    scene.topics.records[RAW] = [raw("a"), raw("b"), raw("bad"), raw("c")]
    scene.topics.records[SCORED] = [scored(identity("A", "b"))]
    scene.steps(6)
    assert [type(row).__name__ for row in scene.store.rows] == ["TextRow"] * 3 + ["OutcomeRow"]
    assert scene.store.offsets == {RAW: 4, SCORED: 1}


def test_what_comes_later_is_read_as_it_comes(scene: Scene) -> None:
    """Once the texts are there, a slow raw topic holds nobody up."""
    scene.steps(2)
    scene.topics.records[SCORED].append(scored(identity("A", "b")))
    scene.steps(1)
    assert len(scene.store.rows) == 1


def test_a_new_loop_goes_on_where_the_store_ends(scene: Scene) -> None:
    """Whatever ended the one before: its rows and offsets are in the store."""
    scene.topics.records[RAW] = [raw("a"), raw("b")]
    scene.steps(3)
    scene.topics.records[RAW].append(raw("c"))
    scene.begin()
    scene.steps(2)
    assert [row.content_hash for row in scene.store.rows if isinstance(row, TextRow)] == [
        b"a",
        b"b",
        b"c",
    ]
    assert scene.topics.starts[-1][RAW] == 2


def test_records_of_others_are_passed_over(scene: Scene) -> None:
    """What is none of newsieve's on a topic is counted, and the next one is read."""
    scene.topics.records[SCORED] = [raw("junk"), scored(identity("A", "b"))]
    scene.steps(4)
    assert len(scene.store.rows) == 1
    refused = [note for note in scene.notes.told if note.startswith("refused")]
    assert refused == ["refused scored/0/0 NotAnObject"]


def test_a_topic_that_was_made_anew_is_read_from_its_beginning(scene: Scene) -> None:
    """Offsets behind a topic's end are those of another one; rows of the old one stay."""
    scene.store.offsets = {RAW: 9, SCORED: 0}
    scene.topics.records[RAW] = [raw("a")]
    scene.steps(2)
    assert "made anew raw 9 1" in scene.notes.told
    assert scene.store.offsets[RAW] == 1


def test_records_that_expired_unread_are_said(scene: Scene) -> None:
    """A store that was away for longer than retention goes on with what is left."""
    scene.store.offsets = {RAW: 2, SCORED: 0}
    scene.topics.first[RAW] = 5
    scene.topics.records[RAW] = [raw("f")]
    scene.steps(2)
    assert "expired raw 3" in scene.notes.told
    assert scene.store.offsets[RAW] == 6


def test_a_broker_that_is_away_is_waited_for(scene: Scene) -> None:
    """Each pause is longer than the one before, and reading goes on where it was."""
    scene.topics.records[RAW] = [raw("a"), raw("b")]
    scene.topics.failures = [BrokerUnavailable("away")] * 3
    waits: list[float] = []
    ends = iter([False] * 8 + [True])
    scene.loop.run(lambda: next(ends), waits.append)
    assert waits == [0.5, 1.0, 2.0]
    assert scene.store.offsets[RAW] == 2


def test_a_missing_topic_ends_the_loop(scene: Scene) -> None:
    """What a person has to mend is not waited for."""
    scene.topics.failures = [TopicsWrong("there is no topic")]
    with pytest.raises(TopicsWrong):
        scene.loop.run(lambda: False, lambda _: None)
