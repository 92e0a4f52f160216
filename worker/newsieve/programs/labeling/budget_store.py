"""Restores what is on record of calls and labels: ledgers from the control topic, labels from the
scores topic.

A new owner of partitions restores them once no transaction of a former owner is pending. What a
ledger means is the budget's business.
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
    """Restores the budget and the labels that are on record, and encodes ledgers."""

    def budget(self, owned: Sequence[Partition]) -> Budget:
        """Return the budget with the ledgers of these partitions, none of which is still being
        written.

        Raises BrokerUnavailable or TopicsWrong.
        """
        ...

    def labels(self) -> Iterator[bytes]:
        """Yield the latest OracleScores, oldest first. Raises as `budget`."""
        ...

    def ledger_record(self, partition: int, ledger: Ledger, now: str) -> OutRecord:
        """Return the record that puts a ledger on record. `now` is ISO 8601."""
        ...


class KafkaBudgetStore:
    """Restores and encodes the ledgers of one group of oracles on Kafka."""

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
        """Return the budget of these partitions. Raises BrokerUnavailable or TopicsWrong."""
        started = time.monotonic()
        self._offset_query.committed(owned)  # no answer while an offset of them is undecided
        numbers = [number for _, number in owned]
        keys = {self._ledger_codec.key(number) for number in numbers}
        values = latest_by_key(self._cluster, self._ledger_codec.topic, keys, self._heartbeat)
        partitions = partition_count(self._cluster, owned[0][0])
        budget = Budget(self._caps, partitions, self._ledger_codec.read(numbers, values))
        _log.info(
            "books.read",
            partitions=len(numbers),
            calls_claimed=sum(ledger.calls for ledger in budget.ledgers.values()),
            calls_unaccounted=sum(sum(x.claims.values()) for x in budget.ledgers.values()),
            seconds=round(time.monotonic() - started, 3),
        )
        return budget

    def labels(self) -> Iterator[bytes]:
        """Yield the latest OracleScores, oldest first. Raises BrokerUnavailable or TopicsWrong."""
        return last_records(self._cluster, self._scores_topic, LABELS, self._heartbeat)

    def ledger_record(self, partition: int, ledger: Ledger, now: str) -> OutRecord:
        """Return the record of a ledger on the control topic."""
        return self._ledger_codec.write(partition, ledger, now)
