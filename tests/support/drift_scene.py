"""A real drift monitor on topics in memory, which can be killed at any moment.

Monitor, course, watches, delivery, intake and publisher are the product's own. What they write is
there once it is committed, together with the offsets, and outlives the process.
"""

from __future__ import annotations

import contextlib
import json
import random
import zlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from schemas.drift import DriftAlert
from tests.support.drift_stream import START, Given
from tests.support.scripted import MEMBER
from worker.archive import Recalled
from worker.assemble.drift import INPUTS, grounds, watches
from worker.assemble.shared import outbox_of
from worker.codec.decode import RawRecord
from worker.delivery import Delivery
from worker.drift.events import EventReader
from worker.drift.states import Transition
from worker.drift.watch import Watch
from worker.kafka import intake as intake_module
from worker.kafka.client import Partition
from worker.kafka.inlets import Arrival
from worker.kafka.inquiry import Inquiry
from worker.kafka.intake import Intake
from worker.kafka.transaction import Publisher
from worker.monitor import DriftMonitor, Policy
from worker.observe.events import Tally
from worker.settings import load_settings

PARTITIONS = 3
LATER = START + 10**9  # by our clock everything has settled
CONTROL = ("articles.control", 0)


class Killed(BaseException):
    """The process is no more."""


@dataclass
class Topics:
    """What is committed."""

    records: dict[Partition, list[Given]] = field(default_factory=lambda: defaultdict(list))
    offsets: dict[Partition, int] = field(default_factory=dict)
    written: list[tuple[str, bytes, bytes | None]] = field(default_factory=list)

    def give(self, records: Sequence[Given]) -> None:
        for record in records:
            count = 1 if record.topic == "control" else PARTITIONS
            number = zlib.crc32(record.key.encode()) % count
            self.records[f"articles.{record.topic}", number].append(record)

    def partitions(self) -> list[Partition]:
        return [
            (f"articles.{topic}", number)
            for topic in INPUTS
            for number in range(1 if topic == "control" else PARTITIONS)
        ]

    def of(self, topic: str) -> list[bytes]:
        """The values on a topic, tombstones apart."""
        return [value for name, _, value in self.written if name == f"articles.{topic}" and value]

    def alerts(self) -> list[dict[str, Any]]:
        found = [json.loads(value) for value in self.of("drift.alerts")]
        for alert in found:
            DriftAlert.model_validate_json(json.dumps(alert))
        return found

    def states(self) -> dict[bytes, bytes]:
        latest = {k: v for name, k, v in self.written if name == "articles.drift.state"}
        return {key: value for key, value in latest.items() if value}


@dataclass
class Death:
    """Comes after so many moments."""

    after: int | None = None

    def moment(self) -> None:
        if self.after is not None:
            self.after -= 1
            if self.after < 0:
                raise Killed


class MemoryInputs:
    """Partitions come in pieces, one after another as chance has it."""

    held: frozenset[Partition] = frozenset()

    def __init__(self, topics: Topics, rng: random.Random, death: Death, piece: int) -> None:
        self._topics, self._rng, self._death, self._piece = topics, rng, death, piece
        self._at: dict[Partition, int] = {}
        self._said_end: set[Partition] = set()

    @property
    def is_read(self) -> bool:
        return bool(self._at) and len(self._said_end) == len(self._at)

    def start(self, offsets: Mapping[Partition, int]) -> None:
        self._at, self._said_end = dict(offsets), set()

    def poll(self, _: float) -> list[Arrival]:
        self._death.moment()
        found = []
        for partition in self._rng.sample(list(self._at), len(self._at) // 2 + 1):
            records, at = self._topics.records[partition], self._at[partition]
            for offset in range(at, min(at + self._rng.randint(1, self._piece), len(records))):
                given = records[offset]
                place = {"topic": partition[0], "partition": partition[1], "offset": offset}
                value = given.value or None
                record = RawRecord(value, given.key.encode(), None, given.at, place)  # type: ignore[arg-type]
                found.append(Arrival(partition, offset, record))
                self._at[partition] = offset + 1
            if self._at[partition] == len(records) and partition not in self._said_end:
                self._said_end.add(partition)
                found.append(Arrival(partition, len(records), None))
        return found

    def hold(self, partitions: Collection[Partition]) -> None:
        self.held = frozenset(partitions)

    def close(self) -> None:
        self._at = {}


class MemoryArchive:
    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    def recall(self) -> Recalled:
        offsets = {item: self._topics.offsets.get(item, 0) for item in self._topics.partitions()}
        return Recalled(offsets, self._topics.states())

    def partitions(self) -> list[Partition]:
        return self._topics.partitions()


class MemoryProducer:
    """Transactions are all or nothing; it can be told to fail."""

    def __init__(self, topics: Topics, death: Death) -> None:
        self._topics, self._death = topics, death
        self.failing: list[Exception] = []
        self._written: list[tuple[str, bytes, bytes | None]] = []
        self._offsets: dict[Partition, int] = {}
        self.complaints: list[Any] = []

    def __len__(self) -> int:
        return 0

    def init_transactions(self, _: float) -> None: ...

    def begin_transaction(self) -> None:
        self._written, self._offsets = [], {}

    def produce(self, topic: str, value: bytes, key: bytes, **_: Any) -> None:
        self._death.moment()
        self._written.append((topic, key, value))

    def send_offsets_to_transaction(
        self, offsets: list[TopicPartition], _metadata: bytes, _seconds: float
    ) -> None:
        self._offsets = {(item.topic, item.partition): item.offset for item in offsets}

    def commit_transaction(self, _: float) -> None:
        self._death.moment()
        if self.failing:
            raise self.failing.pop()
        self._topics.written += self._written
        self._topics.offsets |= self._offsets
        self._death.moment()

    def abort_transaction(self, _: float) -> None:
        self._written, self._offsets = [], {}

    def flush(self, _: float) -> int:
        return 0

    def poll(self, _: float) -> int:
        return 0

    def purge(self) -> None:
        self._written = []


class Member:
    """A consumer that is given the control topic's partition, or is not."""

    def __init__(self, *, is_chosen: bool) -> None:
        self._is_chosen = is_chosen

    def subscribe(self, _: list[str], **callbacks: Any) -> None:
        self._callbacks = callbacks

    def consume(self, _count: int, _seconds: float) -> list[Any]:
        if self._is_chosen:
            self._is_chosen = False
            self._callbacks["on_assign"](self, [TopicPartition(*CONTROL)])
        return []

    def revoke(self) -> None:
        self._callbacks["on_revoke"](self, [TopicPartition(*CONTROL)])

    def consumer_group_metadata(self) -> bytes:
        return MEMBER

    def close(self) -> None: ...


class Quiet:
    """An observer that remembers little."""

    def __init__(self) -> None:
        self.commits: list[Tally] = []
        self.aborts: list[str] = []
        self.at_hand: int | None = -1

    def heartbeat(self) -> None: ...

    def resumed(self, states: int, partitions: int) -> None: ...

    def told(self, step: Transition) -> None: ...

    def committed(self, tally: Tally, _: float) -> None:
        self.commits.append(tally)

    def aborted(self, reason: str) -> None:
        self.aborts.append(reason)

    def standing(self, _: Sequence[Watch], at_hand: int | None) -> None:
        self.at_hand = at_hand

    def drained(self, left: int) -> None: ...


class DriftScene:
    """One monitor process after another on the same topics."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, student: Path, **settings: object) -> None:
        self.topics = Topics()
        self.now = LATER
        self.observer = Quiet()
        self._monkeypatch = monkeypatch
        environment = {f"NEWSIEVE_{name.upper()}": str(value) for name, value in settings.items()}
        folders = {"NEWSIEVE_STUDENT__FOLDERS": json.dumps({"uplifting": str(student)})}
        self._settings = load_settings(None, environment | folders)
        self._grounds = grounds(self._settings)
        self._begin = watches(self._settings, self._grounds)

    def run(
        self, seed: int = 0, dies_after: int | None = None, piece: int = 40, *failing: Exception
    ) -> None:
        """Until all that is there is handled, or it dies. Raises what the monitor raises."""
        death = Death(dies_after)
        self.member = Member(is_chosen=True)
        self._monkeypatch.setattr(intake_module, "make_consumer", lambda _: self.member)
        producer = MemoryProducer(self.topics, death)
        producer.failing = list(failing)
        publisher = Publisher(lambda _: producer, lambda: None)  # type: ignore[arg-type,return-value]
        publisher.connect()
        inputs = MemoryInputs(self.topics, random.Random(seed), death, piece)
        intake = Intake({}, CONTROL[0], Inquiry({}, [], lambda: None), lambda _: None)
        delivery = Delivery(intake, publisher, self.observer)
        monitor = DriftMonitor(
            delivery,
            inputs,
            MemoryArchive(self.topics),
            self._begin,
            EventReader([ground.filter for ground in self._grounds]),
            outbox_of(self._settings, publisher, "g"),
            self.observer,
            Policy(lambda: self.now, "articles", 0.0),
        )
        steps_at_end = 0

        def is_over() -> bool:
            nonlocal steps_at_end
            steps_at_end += inputs.is_read
            return steps_at_end > 2

        delivery.run(monitor, is_over)

    def run_broken(self, seed: int, kills: int, longest: int) -> list[int]:
        """Kill it so many times, at moments drawn at random, then let it finish. Returns how many
        inputs it had committed each time."""
        rng, committed = random.Random(seed), []
        for life in range(kills):
            with contextlib.suppress(Killed):
                self.run(rng.randrange(1_000), rng.randrange(longest), 5 + life % 3 * 5)
            committed.append(sum(self.topics.offsets.values()))
        self.run(rng.randrange(1_000))
        return committed
