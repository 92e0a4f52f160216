"""A real labelling loop on scripted Kafka clients and a scripted provider, step by step.

All but clients and provider is the product's own; a successor restores what was committed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from newsieve.filters.secret_key import SecretKey
from newsieve.kafka.config import Partition
from newsieve.kafka.group_consumer import GroupConsumer
from newsieve.kafka.offset_query import OffsetQuery
from newsieve.kafka.timeouts import TIMEOUTS, Timeouts
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.oracle import budget as budgets
from newsieve.oracle.call_pool import CallPool
from newsieve.oracle.draw_order import DrawPositions
from newsieve.oracle.label_cache import LabelCache
from newsieve.oracle.ledger_record import LedgerCodec
from newsieve.oracle.oracle_spec import OracleSpec
from newsieve.oracle.prompt import OracleConfig, Prompt
from newsieve.oracle.providers.base import Prices
from newsieve.oracle.records import ScoreEncoder
from newsieve.oracle.request_queue import RequestQueue
from newsieve.programs.labeling.events import Waiting
from newsieve.programs.labeling.loop import LabelingLoop
from newsieve.records.dead_letter import Writer
from newsieve.records.encode import OutRecord
from newsieve.stream.dead_letter_limit import DeadLetterLimiter
from newsieve.stream.exactly_once import ExactlyOnceRunner
from newsieve.stream.outcome_publisher import OutcomePublisher
from newsieve.stream.transaction_counts import TransactionCounts
from newsieve_schemas.oracle import OracleScore
from tests.support.filters import BUILTIN, load
from tests.support.ledger import Ledger, LedgerProducer
from tests.support.oracle_fakes import CallNotes, Clock, Scripted
from tests.support.requests import request_record
from tests.support.scripted import TOPIC, Message, ScriptedConsumer, Step, abortable, until

NOW = "2026-11-22T12:00:00.000Z"
PARTITIONS = 2
OWN = SecretKey("of an oracle's own")
SCORES, CONTROL, LETTERS = "p.oracle.scores", "p.control", "p.dead-letter"


@dataclass
class Topics(Ledger):
    """What is committed, whoever wrote it; it outlives a process."""

    records: dict[str, list[tuple[bytes, bytes]]] = field(default_factory=dict)

    def labels(self) -> list[OracleScore]:
        values = [value for _, value in self.records.get(SCORES, [])]
        return [OracleScore.model_validate(json.loads(value)) for value in values]

    def claims(self) -> dict[int, int]:
        """Calls claimed and not published, by offset, over all partitions."""
        latest = dict(self.records.get(CONTROL, []))
        found: dict[int, int] = {}
        for value in latest.values():
            found |= dict(json.loads(value)["arguments"]["claims"])
        return found

    def calls_spent(self) -> int:
        latest = dict(self.records.get(CONTROL, []))
        return sum(json.loads(value)["arguments"]["calls"] for value in latest.values())


class RecordingProducer(LedgerProducer):
    """Keeps what was committed, by topic. A `mute` commit ends in a time-out, done or not."""

    mute: Literal["done", "not done"] | None = None

    def __init__(self, topics: Topics) -> None:
        super().__init__(topics)
        self._topics = topics
        self._produced: list[tuple[str, bytes, bytes]] = []

    def begin_transaction(self) -> None:
        super().begin_transaction()
        self._produced = []

    def produce(self, topic: str, value: bytes, key: bytes, **_: Any) -> None:
        self._produced.append((topic, key, value))

    def commit_transaction(self, seconds: float) -> None:
        mute, self.mute = self.mute, None
        if mute == "not done":
            self._produced, self._offsets = [], {}
        super().commit_transaction(seconds)
        for topic, key, value in self._produced:
            self._topics.records.setdefault(topic, []).append((key, value))
        if mute is not None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "scripted"))

    def abort_transaction(self, seconds: float) -> None:
        super().abort_transaction(seconds)
        self._produced = []


class PausingConsumer(ScriptedConsumer):
    """One that can be held."""

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__(steps)
        self.held: list[str] = []

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.held.append(f"pause {sorted(p.partition for p in partitions)}")

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.held.append(f"resume {sorted(p.partition for p in partitions)}")


class AskingConsumer:
    """Says what the group has committed."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    def committed(self, wanted: list[TopicPartition], **_: float) -> list[TopicPartition]:
        offsets = self._topics.offsets
        return [TopicPartition(p.topic, p.partition, offsets.get(p.partition, -1)) for p in wanted]

    def close(self) -> None:
        """Nothing to leave."""


class TopicBudgetStore:
    """Restores budgets and labels from committed records."""

    def __init__(self, topics: Topics, caps: budgets.Caps) -> None:
        self._topics, self._caps = topics, caps
        self._codec = LedgerCodec(CONTROL, "g", "s")
        self.read = 0

    def budget(self, owned: Sequence[Partition]) -> budgets.Budget:
        self.read += 1
        latest = dict(self._topics.records.get(CONTROL, []))
        numbers = [number for _, number in owned]
        return budgets.Budget(self._caps, PARTITIONS, self._codec.read(numbers, latest))

    def labels(self) -> Iterator[bytes]:
        return iter([value for _, value in self._topics.records.get(SCORES, [])])

    def ledger_record(self, partition: int, ledger: budgets.Ledger, now: str) -> OutRecord:
        return self._codec.write(partition, ledger, now)


class Quiet(CallNotes):
    """An observer that watches nothing but the calls."""

    abandoned = -1
    waiting: Sequence[Waiting] = ()

    def heartbeat(self) -> None: ...

    def committed(self, counts: TransactionCounts, seconds: float) -> None: ...

    def aborted(self, reason: str, fault: str) -> None: ...

    def backlog_measured(self, *_: Any) -> None: ...

    def not_loaded(self, waiting: Sequence[Waiting]) -> None:
        self.waiting = list(waiting)

    def drained(self, abandoned: int) -> None:
        self.abandoned = abandoned


@dataclass
class OracleScene:
    """One oracle process: its steps, its provider, and topics that outlive it."""

    steps: Sequence[Step]
    provider: Scripted
    topics: Topics = field(default_factory=Topics)
    calls_per_day: int = 100
    concurrency: int = 2
    drain_seconds: float = 0.2
    prices: Prices = field(default_factory=lambda: Prices(1.0, 1.0, 100))
    usd_per_day: float = float("inf")
    source_share: float = 1.0
    key: SecretKey | None = None
    filters: Sequence[str] = field(default_factory=lambda: BUILTIN.references)
    timeouts: Timeouts = TIMEOUTS

    def __post_init__(self) -> None:
        self.consumer = PausingConsumer(self.steps)
        self.producer = RecordingProducer(self.topics)
        self.observer, self.clock = Quiet(), Clock()

    def run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Play all steps, then stop. Raises what the loop raises."""
        monkeypatch.setattr("newsieve.kafka.group_consumer.make_consumer", lambda _: self.consumer)
        asking = AskingConsumer(self.topics)
        monkeypatch.setattr("newsieve.kafka.offset_query.make_consumer", lambda _: asking)
        producer = TransactionalProducer(
            lambda _: self.producer,  # type: ignore[arg-type,return-value]
            lambda: None,
            timeouts=self.timeouts,
        )
        producer.connect()
        offset_query = OffsetQuery({}, [], lambda: None, self.timeouts)
        consumer = GroupConsumer({}, TOPIC, offset_query, lambda _: None, timeouts=self.timeouts)
        runner = ExactlyOnceRunner(consumer, producer, self.observer, timeouts=self.timeouts)
        asked = OracleConfig("gemini", "oracle", None, None)
        prompts = {name: Prompt(load(name), 1_000) for name in self.filters}
        oracle = OracleSpec(asked, prompts, self.prices, self.concurrency)
        pool = CallPool(self.provider, self.concurrency, self.observer, lambda: 0.0, self.clock)
        limits = DeadLetterLimiter(1, 1_000, 100)
        caps = budgets.Caps(self.calls_per_day, self.usd_per_day, self.source_share)
        self.budget_store = TopicBudgetStore(self.topics, caps)
        loop = LabelingLoop(
            runner,
            OutcomePublisher(producer, limits, Writer(LETTERS, "g", "0"), lambda: NOW),
            RequestQueue(oracle, pool, LabelCache(), DrawPositions(self.key, OWN)),
            ScoreEncoder(asked, SCORES, "s"),
            self.budget_store,
            self.observer,
            lambda: NOW,
            self.drain_seconds,
        )
        runner.run(loop, lambda: self.consumer.is_over)

    until = staticmethod(until)

    def labelled(self, count: int) -> Step:
        return until(lambda: len(self.topics.labels()) >= count)


def requests(*places: tuple[int, int], **changes: Any) -> Step:
    """An article of its own for each place, named after it."""
    found = [
        Message(*place, request_record(f"a{place[0]}.{place[1]}", **changes)[1]) for place in places
    ]
    return lambda _: found


def raw(*messages: tuple[int, int, bytes | None]) -> Step:
    return lambda _: [Message(*message) for message in messages]  # type: ignore[arg-type]


def scene(
    provider: Scripted, *steps: Step | Callable[[OracleScene], Step], **how: Any
) -> OracleScene:
    """Steps that need the scene are made with it."""
    found = OracleScene([], provider, **how)
    made = [
        step(found) if getattr(step, "needs_scene", False) else step  # type: ignore[arg-type]
        for step in steps
    ]
    found.consumer._steps = made  # type: ignore[assignment]
    return found


def needing_scene(make: Callable[[OracleScene], Step]) -> Callable[[OracleScene], Step]:
    make.needs_scene = True  # type: ignore[attr-defined]
    return make


def labelled(count: int) -> Callable[[OracleScene], Step]:
    return needing_scene(lambda scene: scene.labelled(count))


def asked(count: int) -> Callable[[OracleScene], Step]:
    return needing_scene(lambda scene: scene.until(lambda: len(scene.provider.asked) >= count))


def failing(call: str) -> Callable[[OracleScene], Step]:
    """From here on the next such call of the producer fails."""

    def make(scene: OracleScene) -> Step:
        def step(_: ScriptedConsumer) -> list[Message]:
            scene.producer.failing = {call: abortable()}
            return []

        return step

    return needing_scene(make)
