"""A real worker on scripted Kafka clients: what a real broker leaves to chance, step by step.

Loop, consumer, producer and scoring path are the product's own. Only librdkafka's two clients
are ours: they say what the script says, and `ledger` keeps what was committed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from newsieve.bootstrap.common import utc_now
from newsieve.bootstrap.students import StudentIdentity, scoring_path
from newsieve.kafka import group_consumer
from newsieve.kafka.config import Partition
from newsieve.kafka.group_consumer import GroupConsumer
from newsieve.kafka.offset_query import OffsetQuery
from newsieve.kafka.timeouts import TIMEOUTS, Timeouts
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.programs.scoring.loop import BatchingConfig, ScoringLoop
from newsieve.records.dead_letter import Writer
from newsieve.settings.loader import load_settings
from newsieve.stream.crash_note import Note
from newsieve.stream.crash_recovery import CrashRecovery
from newsieve.stream.dead_letter_limit import DeadLetterLimiter
from newsieve.stream.exactly_once import ExactlyOnceRunner
from newsieve.stream.outcome_publisher import OutcomePublisher
from newsieve.stream.transaction_counts import TransactionCounts
from tests.support.filters import load
from tests.support.fives import FivesScorer
from tests.support.ledger import LETTERS, Ledger, LedgerProducer

TOPIC = "articles.raw"
MEMBER = b"\0" * 7 + b":" + (5).to_bytes(4, "little") + b"group\0member\0\0"
GOOD = json.dumps({"id": "a", "title": "A village opens a library", "content": "Text."}).encode()


@dataclass
class Message:
    partition_: int
    offset_: int
    value_: bytes = GOOD

    def error(self) -> KafkaError | None:
        return None

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return self.partition_

    def offset(self) -> int:
        return self.offset_

    def value(self) -> bytes:
        return self.value_

    def key(self) -> bytes:
        return b"a"

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_700_000_000_000


@dataclass
class Failure(Message):
    """What librdkafka says of a partition among its records."""

    code: int = KafkaError.UNKNOWN

    def error(self) -> KafkaError:
        return KafkaError(self.code, "scripted")


Step = Callable[["ScriptedConsumer"], list[Message]]
PATIENCE_SECONDS = 10


def until(condition: Callable[[], bool]) -> Step:
    """Go round until it holds."""

    def step(consumer: ScriptedConsumer) -> list[Message]:
        if not condition():
            assert time.monotonic() < deadline, "it does not come about"
            consumer._steps.insert(0, step)
        return []

    deadline = time.monotonic() + PATIENCE_SECONDS
    return step


class ScriptedConsumer:
    """Each `consume` plays the next step. Leaving revokes what is still assigned."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = list(steps)
        self._assigned: list[int] = []
        self.sought: dict[int, int] = {}

    def subscribe(self, _: list[str], **callbacks: Any) -> None:
        self._callbacks = callbacks

    def consume(self, _count: int, _seconds: float) -> list[Message]:
        return self._steps.pop(0)(self) if self._steps else []

    @property
    def is_over(self) -> bool:
        return not self._steps

    def assign(self, *partitions: int) -> None:
        self._assigned += partitions
        self._callbacks["on_assign"](self, [TopicPartition(TOPIC, p) for p in partitions])

    def revoke(self, *partitions: int) -> None:
        self._assigned = [p for p in self._assigned if p not in partitions]
        self._callbacks["on_revoke"](self, [TopicPartition(TOPIC, p) for p in partitions])

    def lose(self, *partitions: int) -> None:
        self._assigned = [p for p in self._assigned if p not in partitions]
        self._callbacks["on_lost"](self, [TopicPartition(TOPIC, p) for p in partitions])

    def consumer_group_metadata(self) -> bytes:
        return MEMBER

    def seek(self, at: TopicPartition) -> None:
        self.sought[at.partition] = at.offset

    def close(self) -> None:
        if self._assigned:
            self.revoke(*self._assigned)


class Quiet:
    """An observer that keeps what was abandoned, and whose fault aborts were."""

    abandoned = 0

    def __init__(self) -> None:
        self.faults: list[str] = []

    def heartbeat(self) -> None: ...

    def committed(self, counts: TransactionCounts, seconds: float) -> None: ...

    def aborted(self, _: str, fault: str) -> None:
        self.faults.append(fault)

    def drained(self, abandoned: int) -> None:
        self.abandoned = abandoned

    def crash_inherited(self, partition: Partition, offset: int, note: Note) -> None: ...

    def crash_passed(self, partition: Partition) -> None: ...


@dataclass
class Scene:
    """One worker and its scripted clients."""

    steps: Sequence[Step]
    dead_letter_run: int = 100
    is_held: bool = False
    drain_seconds: float = 5
    commit_seconds: float = 3_600
    ledger: Ledger = field(default_factory=Ledger)
    timeouts: Timeouts = TIMEOUTS

    def __post_init__(self) -> None:
        self.consumer = ScriptedConsumer(self.steps)
        self.producer = LedgerProducer(self.ledger)
        self.scorer = FivesScorer(is_held=self.is_held)
        self.observer = Quiet()

    def run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Play all steps, then stop. Raises what the worker raises."""
        monkeypatch.setattr(group_consumer, "make_consumer", lambda _: self.consumer)
        settings = load_settings(None, {})
        identity = StudentIdentity(load("uplifting"), "sha256:" + "0" * 64, "fp32")
        path = scoring_path(settings, [identity], self.scorer)
        producer = TransactionalProducer(
            lambda _: self.producer, lambda: None, timeouts=self.timeouts
        )
        producer.connect()
        limits = DeadLetterLimiter(1, 1_000, self.dead_letter_run)
        publisher = OutcomePublisher(producer, limits, Writer(LETTERS, "g", "0"), utc_now)
        # Commits only when told to leave something, unless the test wants it sooner.
        batching = BatchingConfig(128, 2, self.commit_seconds, 1_000_000, self.drain_seconds)
        offset_query = OffsetQuery({}, [TOPIC], lambda: None, self.timeouts)
        consumer = GroupConsumer({}, TOPIC, offset_query, lambda _: None, timeouts=self.timeouts)
        recovery = CrashRecovery(
            consumer.offsets, batching.most_in_flight, self._left, self._lag, self.observer, {}
        )
        runner = ExactlyOnceRunner(consumer, producer, self.observer, recovery, self.timeouts)
        worker = ScoringLoop(path, runner, publisher, batching, self.observer, recovery)
        worker.run(lambda: self.consumer.is_over)

    def _left(self, partitions: Sequence[Partition]) -> dict[Partition, tuple[int, str]]:
        """What is on the ledger."""
        ledger = self.ledger
        return {
            (topic, n): (ledger.offsets.get(n, 0), ledger.notes[n])
            for topic, n in partitions
            if n in ledger.notes
        }

    @staticmethod
    def _lag() -> dict[Partition, int]:
        """Unknown: nothing bounds what was in flight but its note."""
        return {}


def assigned(*partitions: int) -> Step:
    def step(consumer: ScriptedConsumer) -> list[Message]:
        consumer.assign(*partitions)
        return []

    return step


def records(*places: tuple[int, int], value: bytes = GOOD) -> Step:
    return lambda _: [Message(*place, value) for place in places]


def nothing(_: ScriptedConsumer) -> list[Message]:
    return []


def revoked(*partitions: int) -> Step:
    def step(consumer: ScriptedConsumer) -> list[Message]:
        consumer.revoke(*partitions)
        return []

    return step


def lost(*partitions: int) -> Step:
    def step(consumer: ScriptedConsumer) -> list[Message]:
        consumer.lose(*partitions)
        return []

    return step


def failing(scene: Callable[[], Scene], **calls: KafkaError) -> Step:
    """From here on the next such call fails."""

    def step(_: ScriptedConsumer) -> list[Message]:
        scene().producer.failing = calls
        return []

    return step


def abortable(code: int = KafkaError.COORDINATOR_NOT_AVAILABLE) -> KafkaError:
    """An error after which librdkafka wants the transaction aborted."""
    return KafkaError(code, "scripted", txn_requires_abort=True)
