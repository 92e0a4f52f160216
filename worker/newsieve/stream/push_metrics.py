"""Every metric that `newsieve push` exports, declared once; those of the transactional programs are
in `metrics`. Dashboards and alert rules use these names. No label has an article's words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from newsieve.stream.metrics import LATENCY_SECONDS, describe_process

OUTCOMES: Final = ("delivered", "unavailable", "refused")
ATTEMPT_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class PushMetrics:
    """The metrics of one delivery loop, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        describe_process(self.registry)
        self._ready = Gauge(
            "newsieve_ready",
            "1: at work, or ready to take over; as /readyz.",
            registry=self.registry,
        )
        self._delivered = self._counter("push_delivered", "Records delivered.")
        self._passed_over = self._counter(
            "push_passed_over", "Records that do not meet the conditions: not delivered."
        )
        self._attempts = self._counter(
            "push_attempts", "Attempts to deliver, by what came of them.", "outcome"
        )
        for outcome in OUTCOMES:
            self._attempts.labels(outcome)
        self._failing = Gauge(
            "newsieve_push_failing", "1: the latest attempt failed.", registry=self.registry
        )
        self._attempt_seconds = Histogram(
            "newsieve_push_attempt_seconds",
            "Time of an attempt.",
            buckets=ATTEMPT_SECONDS,
            registry=self.registry,
        )
        self._latency = Histogram(
            "newsieve_push_end_to_end_seconds",
            "From the record's timestamp to its delivery.",
            buckets=LATENCY_SECONDS,
            registry=self.registry,
        )
        self._lag = Gauge(
            "newsieve_lag_records",
            "Records behind the end of a partition.",
            ("topic", "partition"),
            registry=self.registry,
        )

    def ready_when(self, is_ready: Callable[[], bool]) -> None:
        self._ready.set_function(lambda: float(is_ready()))

    def attempted(self, outcome: str, seconds: float) -> None:
        self._attempts.labels(outcome).inc()
        self._attempt_seconds.observe(seconds)
        self._failing.set(outcome != OUTCOMES[0])

    def delivered(self, latency_seconds: float | None) -> None:
        """Count a delivery; None is the latency of a record whose timestamp cannot be true."""
        self._delivered.inc()
        if latency_seconds is not None:
            self._latency.observe(latency_seconds)

    def passed_over(self) -> None:
        self._passed_over.inc()

    def lag(self, records: Mapping[tuple[str, int], int]) -> None:
        """Set the lag of the partitions we own; others are forgotten."""
        self._lag.clear()
        for (topic, partition), count in records.items():
            self._lag.labels(topic, str(partition)).set(count)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"newsieve_{name}", text, labels, registry=self.registry)
