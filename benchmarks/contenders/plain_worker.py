"""The same worker with transactions switched off: it may double records, but still loses none."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

sys.path.insert(0, str(Path(__file__).parent))
from newsieve_worker import contend

from newsieve.bootstrap.common import Slot, cluster
from newsieve.bootstrap.scoring import RunningWorker
from newsieve.kafka.config import make_producer
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.settings.loader import Settings


class PlainProducer:
    """Takes a transaction's calls: to commit is to flush, and to commit the offsets as any consumer
    does."""

    def __init__(self, settings: Settings, on_delivery: Any) -> None:
        config = cluster(settings).producer({"on_delivery": on_delivery})
        config.pop("transaction.timeout.ms")
        self._producer = make_producer(config)
        self._offsets: list[TopicPartition] = []
        self.consumer: Consumer | None = None
        self.produce = self._producer.produce
        self.flush = self._producer.flush

    def __len__(self) -> int:
        return len(self._producer)

    def init_transactions(self, _: float) -> None: ...

    def begin_transaction(self) -> None: ...

    def send_offsets_to_transaction(
        self, offsets: list[TopicPartition], _: object, __: float
    ) -> None:
        self._offsets = offsets

    def commit_transaction(self, seconds: float) -> None:
        assert self.consumer is not None and self._producer.flush(seconds) == 0
        self.consumer.commit(offsets=self._offsets, asynchronous=False)

    def abort_transaction(self, _: float) -> None: ...


def take_no_slot(settings: Settings, heartbeat: Callable[[], None]) -> Slot:
    publisher = TransactionalProducer(lambda told: PlainProducer(settings, told), heartbeat)
    publisher.connect()
    return Slot("bench", publisher)


def introduce(running: RunningWorker) -> None:
    """The producer to the consumer, whose offsets it commits."""
    runner = running.worker._runner
    runner.producer._producer.consumer = runner.consumer._consumer  # type: ignore[union-attr]


contend(take_no_slot, introduce)
