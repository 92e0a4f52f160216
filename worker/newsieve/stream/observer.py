"""Turns what the scoring loop reports into metrics, log lines and heartbeats.

It does not decide anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from newsieve.stream.crash_note import Note
from newsieve.stream.logs import get_logger
from newsieve.stream.metrics import Metrics
from newsieve.stream.transaction_counts import AbortFault, TransactionCounts
from newsieve.stream.watchdog import Watchdog

LAG_SECONDS: Final = 5.0

_log = get_logger("worker")


class WorkerObserver:
    """The observer of one scoring loop."""

    def __init__(
        self,
        metrics: Metrics,
        watchdog: Watchdog,
        lag: Callable[[], Mapping[tuple[str, int], int]],
    ) -> None:
        """`lag` gives the records behind, per owned partition, from what the client knows."""
        self._metrics = metrics
        self._watchdog = watchdog
        self._lag = lag
        self._lag_at = 0.0
        self._committed = 0

    def heartbeat(self) -> None:
        self._watchdog.beat()
        now = time.monotonic()
        if now - self._lag_at > LAG_SECONDS:
            self._lag_at = now
            lag = self._lag()
            self._metrics.lag(lag)
            _log.debug("lag.measured", partitions=len(lag), records=sum(lag.values()))

    def committed(self, transaction: TransactionCounts, seconds: float) -> None:
        self._watchdog.beat()
        self._metrics.committed(transaction, seconds)
        self._committed += transaction.records
        counts: dict[str, int] = {}
        for (_, outcome, _), count in transaction.outcomes.items():
            counts[outcome] = counts.get(outcome, 0) + count
        if transaction.on_record:
            counts["on_record"] = transaction.on_record
        _log.info(
            "transaction.committed",
            records=transaction.records,
            seconds=round(seconds, 3),
            **counts,
        )

    def aborted(self, reason: str, fault: AbortFault) -> None:
        self._watchdog.beat()
        self._metrics.aborted(fault)
        said = _log.error if fault == "permanent" else _log.warning
        said("transaction.aborted", fault=fault, reason=reason)

    def crash_inherited(self, partition: tuple[str, int], offset: int, note: Note) -> None:
        self._metrics.crash_inherited()
        topic, number = partition
        _log.warning(
            "crash.inherited",
            topic=topic,
            partition=number,
            offset=offset,
            records=note.suspects,
            deaths=note.deaths,
            one_by_one=note.is_alone,
            alone_at=note.alone_at,
            alone_deaths=note.alone_deaths,
        )

    def crash_passed(self, partition: tuple[str, int]) -> None:
        _log.info("crash.passed", topic=partition[0], partition=partition[1])

    def canaries(self, filter_name: str, difference: float, *, passed: bool) -> None:
        self._metrics.canaries(filter_name, difference, passed=passed)
        said = _log.info if passed else _log.error
        said("canaries.scored", filter=filter_name, difference=round(difference, 5), passed=passed)

    def drained(self, abandoned: int) -> None:
        _log.info("worker.drained", records_committed=self._committed, records_abandoned=abandoned)
