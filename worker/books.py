"""The oracle's books, on Kafka: ledgers of calls on the control topic, labels on the scores topic.

Read back by whoever takes partitions over, once nobody else can still be writing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from worker.codec.encode import OutRecord
from worker.kafka.client import Cluster, Partition
from worker.kafka.inquiry import Inquiry
from worker.kafka.recall import latest, partition_count, tail
from worker.observe.logs import get_logger
from worker.oracle.budget import Budget, Caps, Ledger
from worker.oracle.memory import LABELS
from worker.oracle.notes import Notes

_log = get_logger("oracle")


class Books(Protocol):
    """What is on record of calls and labels, and how a ledger is put there."""

    def budget(self, owned: Sequence[Partition]) -> Budget:
        """With the ledgers of these partitions, none of which is still being written.

        Raises BrokerUnavailable or TopicsWrong.
        """
        ...

    def labels(self) -> Iterator[bytes]:
        """The latest OracleScores. Raises as `budget`."""
        ...

    def note(self, partition: int, ledger: Ledger, now: str) -> OutRecord:
        """The record of a ledger."""
        ...


class KafkaBooks:
    """Of one group of oracles."""

    def __init__(
        self,
        cluster: Cluster,
        inquiry: Inquiry,
        scores_topic: str,
        notes: Notes,
        caps: Caps,
        heartbeat: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._inquiry = inquiry
        self._scores_topic = scores_topic
        self._notes = notes
        self._caps = caps
        self._heartbeat = heartbeat

    def budget(self, owned: Sequence[Partition]) -> Budget:
        """Raises BrokerUnavailable or TopicsWrong."""
        started = time.monotonic()
        self._inquiry.committed(owned)  # no answer while an offset of them is undecided
        numbers = [number for _, number in owned]
        keys = {self._notes.key(number) for number in numbers}
        found = latest(self._cluster, self._notes.topic, keys, self._heartbeat)
        partitions = partition_count(self._cluster, owned[0][0])
        budget = Budget(self._caps, partitions, self._notes.read(numbers, found))
        _log.info(
            "books.read",
            partitions=len(numbers),
            calls_claimed=sum(ledger.calls for ledger in budget.ledgers.values()),
            calls_unaccounted=sum(sum(x.claims.values()) for x in budget.ledgers.values()),
            seconds=round(time.monotonic() - started, 3),
        )
        return budget

    def labels(self) -> Iterator[bytes]:
        """The latest OracleScores. Raises BrokerUnavailable or TopicsWrong."""
        return tail(self._cluster, self._scores_topic, LABELS, self._heartbeat)

    def note(self, partition: int, ledger: Ledger, now: str) -> OutRecord:
        return self._notes.write(partition, ledger, now)
