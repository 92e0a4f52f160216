"""Metrics of `newsieve serve`: what it collects, whom it serves. Labels never name an article."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from newsieve.stream.metrics import COMMIT_SECONDS, describe_process

REQUEST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class ServeMetrics:
    """The metrics of pages, feeds and the API, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        describe_process(self.registry)
        self._ready = Gauge(
            "newsieve_ready", "1: at work, or ready to take over; as /readyz.",
            registry=self.registry,
        )  # fmt: skip
        self._rows = Counter(
            "newsieve_store_rows", "Rows written to the store, by what they are.", ["kind"],
            registry=self.registry,
        )  # fmt: skip
        self._refused = Counter(
            "newsieve_store_records_refused", "Records that are none of newsieve's, passed over.",
            ["topic"], registry=self.registry,
        )  # fmt: skip
        self._write = Histogram(
            "newsieve_store_write_seconds", "Time of a transaction of the store.",
            buckets=COMMIT_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._lag = Gauge(
            "newsieve_store_lag_records", "Records behind the end of a partition.",
            ["topic", "partition"], registry=self.registry,
        )  # fmt: skip
        self._requests = Counter(
            "newsieve_http_requests", "Requests, by route and status.", ["route", "status"],
            registry=self.registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "newsieve_http_request_seconds", "Until the answer's first byte, by route.", ["route"],
            buckets=REQUEST_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._streams = Gauge(
            "newsieve_http_streams", "Clients that are sent events.", registry=self.registry
        )

    def ready_when(self, is_ready: Callable[[], bool]) -> None:
        """Export whether the program is ready, as this says."""
        self._ready.set_function(lambda: float(is_ready()))

    def written(self, rows: Mapping[str, int], seconds: float) -> None:
        """Count the rows of a transaction, by kind."""
        for kind, count in rows.items():
            self._rows.labels(kind).inc(count)
        self._write.observe(seconds)

    def refused(self, topic: str) -> None:
        """Count a record that was passed over."""
        self._refused.labels(topic).inc()

    def lag(self, records: Mapping[tuple[str, int], int]) -> None:
        """Set the lag of all partitions."""
        for (topic, partition), count in records.items():
            self._lag.labels(topic, str(partition)).set(count)

    def requested(self, route: str, status: int, seconds: float) -> None:
        """Count a request by the route's pattern, which names no article."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def streams(self, count: int) -> None:
        """Set the number of clients that are sent events."""
        self._streams.set(count)
