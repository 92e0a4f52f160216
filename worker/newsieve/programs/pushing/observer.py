"""Turns what the delivery loop reports into metrics, log lines and heartbeats, never with an
article's words."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from newsieve.kafka.messages import StoredRecord
from newsieve.programs.pushing.events import Attempt
from newsieve.stream.latency import latencies_seconds
from newsieve.stream.logs import get_logger
from newsieve.stream.push_metrics import PushMetrics
from newsieve.stream.watchdog import Watchdog

LAG_SECONDS: Final = 5.0
REMINDER_SECONDS: Final = 60.0  # between two lines about one record that is still not delivered

_log = get_logger("push")


class PushObserver:
    """The observer of one delivery loop."""

    def __init__(
        self,
        metrics: PushMetrics,
        watchdog: Watchdog,
        lag: Callable[[], Mapping[tuple[str, int], int]],
    ) -> None:
        """`lag` gives the records behind, per owned partition, from what the client knows."""
        self._metrics = metrics
        self._watchdog = watchdog
        self._lag = lag
        self._lag_at = self._warned_at = float("-inf")
        self._failures = 0  # in a row
        self._since_commit = [0, 0]  # delivered, passed over
        self.delivered_total = self.passed_over_total = 0

    def heartbeat(self) -> None:
        self._watchdog.beat()
        now = time.monotonic()
        if now - self._lag_at > LAG_SECONDS:
            self._lag_at = now
            self._metrics.lag(self._lag())

    def attempted(self, attempt: Attempt, seconds: float) -> None:
        self._watchdog.beat()
        self._metrics.attempted(attempt.outcome, seconds)

    def delivered(self, item: StoredRecord) -> None:
        stamps = [item.record.timestamp_ms] if item.record.timestamp_ms is not None else []
        latency = latencies_seconds(stamps, time.time() * 1_000)
        self._metrics.delivered(float(latency[0]) if latency.size else None)
        self.delivered_total += 1
        self._since_commit[0] += 1
        if self._failures:
            _log.info("delivery.recovered", failures_in_a_row=self._failures)
            self._failures, self._warned_at = 0, float("-inf")

    def passed_over(self, item: StoredRecord) -> None:  # noqa: ARG002 - only counted
        self._metrics.passed_over()
        self.passed_over_total += 1
        self._since_commit[1] += 1

    def retried(self, item: StoredRecord, reason: str, pause_seconds: float) -> None:
        """Log the first failure at once, and that it goes on once a minute."""
        self._failures += 1
        now = time.monotonic()
        if now - self._warned_at < REMINDER_SECONDS:
            return
        self._warned_at = now
        topic, number = item.partition
        _log.warning(
            "delivery.retried",
            topic=topic,
            partition=number,
            offset=item.offset,
            reason=reason,
            failures_in_a_row=self._failures,
            pause_seconds=round(pause_seconds, 1),
        )

    def commit_failed(self, reason: str) -> None:
        _log.warning("commit.failed", reason=reason)

    def committed(self) -> None:
        delivered, passed_over = self._since_commit
        if delivered or passed_over:
            _log.info("records.pushed", delivered=delivered, passed_over=passed_over)
            self._since_commit = [0, 0]

    def drained(self) -> None:
        """Log that the loop has ended, with what it did in all."""
        _log.info(
            "push.drained", delivered=self.delivered_total, passed_over=self.passed_over_total
        )
