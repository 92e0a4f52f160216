"""The oracle's books, on Kafka: ledgers of calls on the control topic, labels on the scores topic.

Read back by whoever takes partitions over, once nobody else can still be writing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from newsieve.kafka.config import Cluster, Partition
from newsieve.kafka.offset_query import OffsetQuery
from newsieve.kafka.state_topic import last_records, latest_by_key, partition_count
from newsieve.oracle.budget import Budget, Caps, Ledger
from newsieve.oracle.label_cache import LABELS
from newsieve.oracle.ledger_record import LedgerCodec
from newsieve.records.encode import OutRecord
from newsieve.stream.logs import get_logger

_log = get_logger("oracle")


class BudgetStore(Protocol):
    """What is on record of calls and labels, and how a ledger is put there."""

    def budget(self, owned: Sequence[Partition]) -> Budget:
        """With the ledgers of these partitions, none of which is still being written.

        Raises BrokerUnavailable or TopicsWrong.
        """
        ...

    def labels(self) -> Iterator[bytes]:
        """The latest_by_key OracleScores. Raises as `budget`."""
        ...

    def ledger_record(self, partition: int, ledger: Ledger, now: str) -> OutRecord:
        """The record of a ledger."""
        ...


class KafkaBudgetStore:
    """Of one group of oracles."""

    def __init__(
        self,
        cluster: Cluster,
        offset_query: OffsetQuery,
        scores_topic: str,
        ledger_codec: LedgerCodec,
        caps: Caps,
        heartbeat: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._offset_query = offset_query
        self._scores_topic = scores_topic
        self._ledger_codec = ledger_codec
        self._caps = caps
        self._heartbeat = heartbeat

    def budget(self, owned: Sequence[Partition]) -> Budget:
        """Raises BrokerUnavailable or TopicsWrong."""
        started = time.monotonic()
        self._offset_query.committed(owned)  # no answer while an offset of them is undecided
        numbers = [number for _, number in owned]
        keys = {self._ledger_codec.key(number) for number in numbers}
        found = latest_by_key(self._cluster, self._ledger_codec.topic, keys, self._heartbeat)
        partitions = partition_count(self._cluster, owned[0][0])
        budget = Budget(self._caps, partitions, self._ledger_codec.read(numbers, found))
        _log.info(
            "books.read",
            partitions=len(numbers),
            calls_claimed=sum(ledger.calls for ledger in budget.ledgers.values()),
            calls_unaccounted=sum(sum(x.claims.values()) for x in budget.ledgers.values()),
            seconds=round(time.monotonic() - started, 3),
        )
        return budget

    def labels(self) -> Iterator[bytes]:
        """The latest_by_key OracleScores. Raises BrokerUnavailable or TopicsWrong."""
        return last_records(self._cluster, self._scores_topic, LABELS, self._heartbeat)

    def ledger_record(self, partition: int, ledger: Ledger, now: str) -> OutRecord:
        return self._ledger_codec.write(partition, ledger, now)
