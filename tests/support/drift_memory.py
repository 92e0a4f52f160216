"""Kafka in memory for a drift monitor: topics, a group of one, transactions, and sudden death.

What is committed is there together with its offsets, and outlives the process.
"""

from __future__ import annotations

import json
import random
import zlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import TopicPartition

from newsieve.bootstrap.drift import INPUTS
from newsieve.kafka.config import Partition
from newsieve.kafka.messages import ConsumedRecord, GroupRecord
from newsieve.programs.drift.state_store import RestoredState
from newsieve.records.decode import RawRecord
from newsieve_schemas.drift import DriftAlert
from tests.support.drift_records import START, Given
from tests.support.scripted import MEMBER

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
            DriftAlert.model_validate_json(json.dumps(alert), extra="forbid")
        return found

    def states(self) -> dict[bytes, bytes]:
        latest = {k: v for name, k, v in self.written if name == "articles.drift.state"}
        return {key: value for key, value in latest.items() if value}

    def known(self) -> dict[bytes, dict[str, Any]]:
        """The states, bit by bit, but for when they were put on record: that depends on commits."""
        found = {key: json.loads(value) for key, value in self.states().items()}
        for facts in found.values():
            del facts["updated_at"]
        return found


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
        self.polls = 0

    @property
    def is_read(self) -> bool:
        return bool(self._at) and len(self._said_end) == len(self._at)

    def start(self, offsets: Mapping[Partition, int]) -> None:
        self._at, self._said_end = dict(offsets), set()

    def poll(self, _: float) -> list[GroupRecord]:
        self._death.moment()
        self.polls += 1
        found = []
        for partition in self._rng.sample(list(self._at), len(self._at) // 2 + 1):
            records, at = self._topics.records[partition], self._at[partition]
            for offset in range(at, min(at + self._rng.randint(1, self._piece), len(records))):
                given = records[offset]
                place = {"topic": partition[0], "partition": partition[1], "offset": offset}
                value = given.value or None
                record = RawRecord(value, given.key.encode(), None, given.at, place)  # type: ignore[arg-type]
                found.append(ConsumedRecord(record, partition, offset))
                self._at[partition] = offset + 1
            if self._at[partition] == len(records) and partition not in self._said_end:
                self._said_end.add(partition)
                found.append(ConsumedRecord(None, partition, len(records)))
        return found

    def hold(self, partitions: Collection[Partition]) -> None:
        self.held = frozenset(partitions)

    def close(self) -> None:
        self._at = {}


class MemoryStateStore:
    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    def restore(self) -> RestoredState:
        offsets = {item: self._topics.offsets.get(item, 0) for item in self._topics.partitions()}
        return RestoredState(offsets, self._topics.states())

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
    """A consumer that is given a partition of the control topic, or is not."""

    def __init__(self, *, is_chosen: bool, partition: int) -> None:
        self._is_chosen = is_chosen
        self._place = TopicPartition(CONTROL[0], partition)

    def subscribe(self, _: list[str], **callbacks: Any) -> None:
        self._callbacks = callbacks

    def consume(self, _count: int, _seconds: float) -> list[Any]:
        if self._is_chosen:
            self._is_chosen = False
            self._callbacks["on_assign"](self, [self._place])
        return []

    def revoke(self) -> None:
        self._callbacks["on_revoke"](self, [self._place])

    def consumer_group_metadata(self) -> bytes:
        return MEMBER

    def close(self) -> None: ...
