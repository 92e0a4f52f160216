"""Turns an oracle's events into metrics, log lines and heartbeats, never with an article's text."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from newsieve.programs.labeling.events import Waiting
from newsieve.stream.latency import latencies_seconds
from newsieve.stream.logs import get_logger
from newsieve.stream.metrics import OracleMetrics
from newsieve.stream.observer import WorkerObserver
from newsieve.stream.transaction_counts import TransactionCounts
from newsieve.stream.watchdog import Watchdog

SECONDS_DIGITS: Final = 3
USD_DIGITS: Final = 6
REMINDER_SECONDS: Final = 60.0  # between two lines about a partition that still waits

_log = get_logger("oracle")


class OracleObserver(WorkerObserver):
    """Watches one oracle: the worker's observer, and the calls."""

    def __init__(
        self,
        metrics: OracleMetrics,
        watchdog: Watchdog,
        lag: Callable[[], Mapping[tuple[str, int], int]],
    ) -> None:
        super().__init__(metrics, watchdog, lag)
        self._oracle_metrics = metrics
        self._calls: Counter[str] = Counter()
        self._usd = 0.0
        self._requests = 0
        self._other_key_at = float("-inf")
        self._warned_at: dict[tuple[tuple[str, int], int], float] = {}  # by partition and offset

    def called(self, outcome: str, seconds: float, tokens: tuple[int, int], usd: float) -> None:
        """A call has ended. The log line of the next transaction says so."""
        self._oracle_metrics.called(outcome, seconds, tokens, usd)
        self._calls[outcome] += 1
        self._usd += usd

    def withheld(self, reason: str) -> None:
        """An article has no label, and no record of that: other articles will show whose fault it
        is."""
        _log.warning("label.withheld", reason=reason)

    def breaker_changed(self, *, is_open: bool, failures: int, seconds: float, reason: str) -> None:
        """The provider is not called for so many seconds, or it is called again."""
        self._oracle_metrics.circuit(is_open=is_open)
        seconds = round(seconds, SECONDS_DIGITS)
        if not failures:
            _log.info("circuit.closed", reason=reason)
        else:
            event = "circuit.opened" if is_open else "provider.paused"
            _log.warning(event, failures_in_a_row=failures, seconds=seconds, reason=reason)

    def backlog_measured(self, waiting: int, oldest_ms: int | None, calls: int, usd: float) -> None:
        """Requests in memory, the oldest one's timestamp, and what is left of the budget."""
        stamps = [oldest_ms] if oldest_ms is not None else []
        known = latencies_seconds(stamps, time.time() * 1_000)
        self._oracle_metrics.backlog_measured(waiting, float(known.max(initial=0.0)), calls, usd)

    def other_key(self, fingerprint: str) -> None:
        """Log that a request was drawn with another key, at once and then once a minute."""
        self._oracle_metrics.other_key()
        now = time.monotonic()
        if now - self._other_key_at >= REMINDER_SECONDS:
            self._other_key_at = now
            _log.warning(
                "sampling.other_key",
                fingerprint=fingerprint,
                advice="requests were drawn with another sampling.key than this oracle's, or it "
                "has none: over the budget they are cut by a draw of its own; estimates stay "
                "valid. Give it the workers' key; `newsieve doctor` compares them",
            )

    def not_loaded(self, waiting: Sequence[Waiting]) -> None:
        """Log each partition that waits, when it begins to wait and then once a minute."""
        self._oracle_metrics.not_loaded(len(waiting))
        now = time.monotonic()
        former, self._warned_at = self._warned_at, {}
        for item in waiting:
            place = (item.partition, item.offset)
            warned_at = former.get(place)
            if warned_at is None or now - warned_at >= REMINDER_SECONDS:
                warned_at = now
                topic, number = item.partition
                _log.warning(
                    "partition.waiting",
                    topic=topic,
                    partition=number,
                    offset=item.offset,
                    reason=item.reason,
                )
            self._warned_at[place] = warned_at

    def committed(self, transaction: TransactionCounts, seconds: float) -> None:
        self._watchdog.beat()
        self._metrics.committed(transaction, seconds)
        self._requests += transaction.records
        if not transaction.records and not self._calls:
            return  # only claims: the calls follow, and have a line of their own
        statuses: Counter[str] = Counter()
        for (_, outcome, _), count in transaction.outcomes.items():
            statuses[outcome] += count
        calls = {f"calls_{outcome}": count for outcome, count in self._calls.items()}
        _log.info(
            "transaction.committed",
            requests=transaction.records,
            seconds=round(seconds, SECONDS_DIGITS),
            usd=round(self._usd, USD_DIGITS),
            **statuses,
            **calls,
        )
        self._calls.clear()
        self._usd = 0.0

    def drained(self, abandoned: int) -> None:
        _log.info("oracle.drained", requests_committed=self._requests, requests_left=abandoned)
