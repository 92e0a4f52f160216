"""Every metric that `newsieve ingest http` exports, declared once. Dashboards and alert rules use
these names. No label has an article's words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from newsieve.stream.metrics import COMMIT_SECONDS, FAULTS, describe_process
from newsieve.stream.serve_metrics import REQUEST_SECONDS
from newsieve.stream.transaction_counts import AbortFault

ACCEPTED: Final = "accepted"
REFUSED: Final = "refused"
UNKNOWN: Final = "unknown"
OUTCOMES: Final = (ACCEPTED, REFUSED, UNKNOWN)


class IngestHttpMetrics:
    """The metrics of one receiver of articles, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        describe_process(self.registry)
        self._ready = self._gauge("ready", "1: articles are taken; as /readyz.")
        self._requests = self._counter(
            "http_requests", "Requests, by route and status.", "route", "status"
        )
        self._seconds = Histogram(
            "newsieve_http_request_seconds",
            "Until the answer's first byte, by route.",
            ["route"],
            buckets=REQUEST_SECONDS,
            registry=self.registry,
        )
        self._articles = self._counter(
            "ingest_http_articles",
            "Articles, by what came of them: committed and accepted; refused for what they are; or "
            "unknown, where nobody knows whether the transaction was committed.",
            "outcome",
        )
        self._commit = Histogram(
            "newsieve_ingest_http_transaction_seconds",
            "Time to produce and commit a transaction.",
            buckets=COMMIT_SECONDS,
            registry=self.registry,
        )
        self._aborts = self._counter(
            "ingest_http_transactions_aborted",
            "Transactions aborted, and tried again: passing, permanent, or for a reason nobody has "
            "listed.",
            "fault",
        )
        self._queue_articles = self._gauge(
            "ingest_http_queue_articles", "Articles that wait to be committed."
        )
        self._queue_bytes = self._gauge(
            "ingest_http_queue_bytes", "Bytes of the bodies whose articles wait, in memory."
        )
        for outcome in OUTCOMES:
            self._articles.labels(outcome)
        for fault in FAULTS:
            self._aborts.labels(fault)

    def ready_when(self, is_ready: Callable[[], bool]) -> None:
        """Export whether the program is ready, as this says."""
        self._ready.set_function(lambda: float(is_ready()))

    def queue_is(self, articles: Callable[[], int], body_bytes: Callable[[], int]) -> None:
        """Export what waits, as these say."""
        self._queue_articles.set_function(articles)
        self._queue_bytes.set_function(body_bytes)

    def requested(self, route: str, status: int, seconds: float) -> None:
        """Count a request by the route's pattern."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def committed(self, articles: int, seconds: float) -> None:
        """Count the articles of a committed transaction."""
        self._articles.labels(ACCEPTED).inc(articles)
        self._commit.observe(seconds)

    def refused(self, articles: int) -> None:
        """Count articles that are refused for what they are."""
        self._articles.labels(REFUSED).inc(articles)

    def outcome_unknown(self, articles: int) -> None:
        """Count articles of which nobody knows whether they were committed."""
        self._articles.labels(UNKNOWN).inc(articles)

    def aborted(self, fault: AbortFault) -> None:
        """Count an aborted transaction."""
        self._aborts.labels(fault).inc()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"newsieve_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"newsieve_{name}", text, registry=self.registry)
