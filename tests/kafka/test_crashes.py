"""Workers that die, one after another, over one log: who is blamed, and what becomes of the rest.

A kill leaves nothing but what was committed. The worker is the product's own, on scripted clients.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.topics import RAW, topic_name, topics
from tests.support.fives import FivesScorer
from tests.support.scripted import (
    Ledger,
    Message,
    Scene,
    ScriptedConsumer,
    abortable,
    assigned,
    failing,
    nothing,
    records,
    revoked,
)
from worker.crash_note import BLAMED_AFTER_DEATHS, NOTHING, Note, parse
from worker.crash_recovery import KILLED_IN_A_ROW
from worker.engine.scorer import FilterScores
from worker.errors import DeadLetterLimit, DeviceFailed, TopicsWrong
from worker.kafka.admin import TopicAdmin
from worker.kafka.broker import Broker
from worker.kafka.client import Cluster, make_consumer, make_producer
from worker.kafka.inquiry import Inquiry
from worker.kafka.intake import Intake
from worker.kafka.transaction import Publisher

Place = tuple[int, int]
DEATHS_OF_ONE = 2 + BLAMED_AFTER_DEATHS  # of a record that kills whoever scores it
MOST_LIVES = 200


class Killed(BaseException):
    """The process is gone, at once."""


def killer(place: Place) -> bytes:
    return b'{"id": "k", "title": "kill %d/%d", "content": "Text."}' % place


def innocent(place: Place) -> bytes:
    return b'{"id": "a", "title": "read %d/%d", "content": "Text."}' % place


class KillingScorer(FivesScorer):
    """Dies of a killer, and by chance of nothing."""

    def __init__(self, chance: random.Random, mortality: float) -> None:
        super().__init__(is_held=False)
        self._chance = chance
        self._mortality = mortality

    def submit(
        self, texts: Sequence[str], wanted: Mapping[str, Sequence[int]]
    ) -> Future[dict[str, FilterScores]]:
        if any("kill" in text for text in texts) or self._chance.random() < self._mortality:
            raise Killed
        return super().submit(texts, wanted)


class LogConsumer(ScriptedConsumer):
    """Gives the log's records from where the ledger stands, and where it is sent."""

    def __init__(self, log: Mapping[int, Sequence[bytes]], ledger: Ledger) -> None:
        super().__init__([])
        self._log = log
        self._at = {n: ledger.offsets.get(n, 0) for n in log}
        self._has_joined = False
        self._ledger = ledger

    def consume(self, count: int, _seconds: float) -> list[Message]:
        if not self._has_joined:
            self._has_joined = True
            self.assign(*self._log)
        found = [
            Message(n, at, self._log[n][at])
            for n, begin in self._at.items()
            for at in range(begin, len(self._log[n]))
        ][:count]
        for message in found:
            self._at[message.partition()] = message.offset() + 1
        return found

    def seek(self, at: Any) -> None:
        self._at[at.partition] = at.offset

    @property
    def is_over(self) -> bool:
        ends = {n: len(values) for n, values in self._log.items() if values}
        return self._has_joined and self._ledger.offsets == ends


@dataclass
class Lineage:
    """One worker after another."""

    log: Mapping[int, Sequence[bytes]]
    mortality: float = 0.0
    seed: int = 0
    ledger: Ledger = field(default_factory=Ledger)
    deaths: int = 0
    stops: list[str] = field(default_factory=list)

    def run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Until one has worked to the end."""
        chance = random.Random(self.seed)
        for _ in range(MOST_LIVES):
            scene = Scene([], ledger=self.ledger, commit_seconds=0)
            scene.consumer = LogConsumer(self.log, self.ledger)
            scene.scorer = KillingScorer(chance, self.mortality)
            try:
                scene.run(monkeypatch)
                return
            except Killed:
                self.deaths += 1
            except DeadLetterLimit as stop:
                self.stops.append(str(stop))
        raise AssertionError(f"{self.ledger} after {MOST_LIVES} lives")

    @property
    def blamed(self) -> set[Place]:
        return {(partition, offset) for partition, offset, _ in self.ledger.letters}

    def assert_exactly_once(self) -> None:
        """Each record is scored or a dead letter, once."""
        places = {(n, at) for n, values in self.log.items() for at in range(len(values))}
        assert len(self.ledger.letters) == len(self.blamed)
        assert sorted([*self.ledger.outputs, *self.blamed]) == sorted(places)
        assert {error for _, _, error in self.ledger.letters} <= {"KilledWorker"}
        ends = {n: len(values) for n, values in self.log.items() if values}
        assert self.ledger.offsets == ends


def log_of(sizes: Sequence[int], killers: set[Place]) -> dict[int, list[bytes]]:
    return {
        n: [(killer if (n, at) in killers else innocent)((n, at)) for at in range(size)]
        for n, size in enumerate(sizes)
    }


def test_a_record_that_kills_is_given_up_and_the_rest_is_scored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After two deaths with others and two alone; nobody else is blamed, whatever was in flight."""
    lineage = Lineage(log_of([300, 300, 5], {(1, 170)}))
    lineage.run(monkeypatch)

    assert lineage.blamed == {(1, 170)}
    assert lineage.deaths == DEATHS_OF_ONE
    lineage.assert_exactly_once()
    assert not any(parse(text).suspects for text in lineage.ledger.notes.values())


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sizes=st.lists(st.integers(0, 150), min_size=1, max_size=4),
    killing=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 149)), max_size=3),
    mortality=st.sampled_from([0.0, 0.05]),
    seed=st.integers(0, 2**16),
)
def test_whoever_dies_of_whatever_every_record_has_one_outcome(
    sizes: list[int],
    killing: list[Place],
    mortality: float,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killers in any places, among deaths by chance."""
    killers = {(n, at) for n, at in killing if n < len(sizes) and at < sizes[n]}
    lineage = Lineage(log_of(sizes, killers), mortality, seed)
    lineage.run(monkeypatch)

    lineage.assert_exactly_once()
    assert killers <= lineage.blamed
    if not mortality:
        assert lineage.blamed == killers
        assert lineage.deaths <= DEATHS_OF_ONE * len(killers)


def test_what_kills_on_every_record_stops_for_a_person_instead_of_eating_the_topic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also across deaths: memory is short, say. What was given up can be replayed."""
    killers = {(0, at) for at in range(20)}
    lineage = Lineage(log_of([40], killers))
    lineage.run(monkeypatch)

    assert len(lineage.stops) == (len(killers) - 1) // KILLED_IN_A_ROW
    assert "dlq replay --error KilledWorker" in lineage.stops[0]
    lineage.assert_exactly_once()


def test_a_worker_that_ends_in_order_leaves_no_suspicion(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM, or partitions that are given up: nothing was in flight then."""
    scene = Scene([assigned(0, 1), records((0, 0), (1, 0)), nothing, revoked(0), nothing])
    scene.run(monkeypatch)

    assert [parse(scene.ledger.notes[n]) for n in (0, 1)] == [NOTHING, NOTHING]


def test_a_worker_at_work_says_so_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a partition that the group has no offset of: its first record may kill."""
    scene = Scene([assigned(0), records((0, 0)), nothing])
    seen: list[Note] = []

    class Looking(FivesScorer):
        def submit(self, *asked: Any) -> Future[dict[str, FilterScores]]:
            seen.extend(parse(text) for text in scene.ledger.notes.values())
            return super().submit(*asked)

    scene.scorer = Looking(is_held=False)
    scene.run(monkeypatch)

    assert len(seen) == 1
    assert seen[0].in_flight > 0


def test_a_device_that_fails_counts_as_a_death(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record that spoiled it comes again: exit 3, for ever, if it did not count."""
    scene = Scene([assigned(0), records((0, 0)), nothing])

    class Failing(FivesScorer):
        def submit(self, *_: Any) -> Future[dict[str, FilterScores]]:
            raise DeviceFailed("scripted")

    scene.scorer = Failing(is_held=False)
    with pytest.raises(DeviceFailed):
        scene.run(monkeypatch)

    assert parse(scene.ledger.notes[0]).in_flight > 0


def test_a_refusing_broker_is_no_records_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that ends because of it was not killed by what it had in flight; whoever starts it
    again and again, no record is blamed."""
    scene = Scene(
        [
            assigned(0),
            records((0, 0)),
            nothing,
            failing(lambda: scene, send_offsets=abortable(KafkaError.UNKNOWN_TOPIC_OR_PART)),
        ]
    )
    with pytest.raises(TopicsWrong):
        scene.run(monkeypatch)

    assert parse(scene.ledger.notes[0]) == NOTHING


def test_an_end_of_unknown_outcome_never_sends_the_offset_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last commit may have gone through: what is noted at the end is noted where the broker
    stands, not where we do."""
    scene = Scene([assigned(0), records((0, 0), (0, 1)), nothing, nothing])
    scene.commit_seconds = 0
    commit = scene.producer.commit_transaction

    def lost_answer(seconds: float) -> None:
        holds_records = scene.producer.holds_records
        commit(seconds)
        if holds_records:
            scene.producer.is_open = False
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "scripted"))

    def silent(_: Intake) -> None:
        raise TopicsWrong("scripted")

    monkeypatch.setattr(scene.producer, "commit_transaction", lost_answer)
    monkeypatch.setattr(Intake, "rewind_to_committed", silent)
    with pytest.raises(TopicsWrong):
        scene.run(monkeypatch)

    assert scene.ledger.offsets == {0: 2}
    assert parse(scene.ledger.notes[0]) == NOTHING
    scene.ledger.assert_exactly_once()


def test_a_note_travels_with_the_offset_and_not_without_it(broker: Broker, prefix: str) -> None:
    """On a real broker: committed with it, aborted with it, gone when somebody sets the offset."""
    cluster = Cluster(broker.bootstrap_servers, {})
    TopicAdmin(cluster).create(topics(prefix, {}))
    place = (topic_name(prefix, RAW), 0)
    config = cluster.consumer(prefix)
    inquiry = Inquiry(config, [], lambda: None)
    producing = cluster.producer({"transactional.id": prefix})
    publisher = Publisher(lambda _: make_producer(producing), lambda: None)
    publisher.connect()
    member = make_consumer(config)
    unfenced = member.consumer_group_metadata()

    publisher.commit({place: 2}, unfenced, {place: Note(in_flight=7).text()})
    assert inquiry.notes([place, (place[0], 1)]) == {place: (2, Note(in_flight=7).text())}

    producer = make_producer(producing)  # what follows is left open, and aborted by its successor
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.send_offsets_to_transaction([TopicPartition(*place, 3, "lost")], unfenced, 20)
    make_producer(producing).init_transactions(20)
    assert inquiry.notes([place]) == {place: (2, Note(in_flight=7).text())}

    member.commit(offsets=[TopicPartition(*place, 1)], asynchronous=False)
    assert inquiry.notes([place]) == {place: (1, "")}
    member.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "newsieve-crash-note/2 in_flight=1",
        "somebody else's",
        "newsieve-crash-note/1 in_flight=",
    ],
)
def test_a_note_that_is_not_ours_says_nothing(text: str) -> None:
    """Of another version, of another tool, or cut off."""
    assert parse(text) == NOTHING


COUNTS = st.integers(0, 10**9 - 1)
ALONE = st.just((None, 0)) | st.tuples(st.integers(0, 10**18 - 1), COUNTS)
NOTES = st.tuples(COUNTS, COUNTS, COUNTS, ALONE, COUNTS).map(lambda n: Note(*n[:3], *n[3], n[4]))


@given(note=NOTES)
def test_a_note_is_read_as_it_was_written(note: Note) -> None:
    """And fits what a broker takes with an offset, by default."""
    assert parse(note.text()) == note
    assert len(note.text()) < 4_096
