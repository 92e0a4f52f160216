"""Every metric that `newsieve ingest feeds` exports beside those of all programs with transactions,
declared once. Dashboards and alert rules use these names. No label has a feed or a host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from prometheus_client import Histogram

from newsieve.stream.metrics import Metrics

OUTCOMES: Final = ("read", "unchanged", "failed", "gone")
PAGE_OUTCOMES: Final = ("read", "refused", "failed")
KINDS: Final = ("new", "changed", "too_large")
CONDITIONS: Final = ("ok", "failing", "gone", "new")
FETCH_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class IngestMetrics(Metrics):
    """The metrics of an ingester of feeds: the transactions' and lag's as the worker has them, and
    what came of the feeds."""

    def __init__(self) -> None:
        super().__init__()
        self._fetches = self._counter(
            "ingest_fetches", "Requests to feeds, by what came of them.", "outcome"
        )
        self._feed_articles = self._counter(
            "ingest_articles",
            "Articles of feeds: published as new or as changed, or left out as too large.",
            "kind",
        )
        self._pages = self._counter(
            "ingest_pages",
            "Summaries of feeds whose full text is wanted, by what came of their pages: read, "
            "refused, failed.",
            "outcome",
        )
        self._feeds = self._gauge(
            "ingest_feeds", "Feeds of this process by condition; new: not asked yet.", "condition"
        )
        self._overdue = self._gauge(
            "ingest_feeds_overdue", "Feeds that should have been asked ten minutes ago."
        )
        self._fetch_seconds = Histogram(
            "newsieve_ingest_fetch_seconds",
            "Time of a request to a feed, with reading its answer.",
            buckets=FETCH_SECONDS,
            registry=self.registry,
        )
        for outcome in OUTCOMES:
            self._fetches.labels(outcome)
        for kind in KINDS:
            self._feed_articles.labels(kind)
        for outcome in PAGE_OUTCOMES:
            self._pages.labels(outcome)
        for condition in CONDITIONS:
            self._feeds.labels(condition)

    def fetched(self, outcome: str, seconds: float) -> None:
        self._fetches.labels(outcome).inc()
        self._fetch_seconds.observe(seconds)

    def articles_committed(self, kind: str, count: int) -> None:
        self._feed_articles.labels(kind).inc(count)

    def pages_committed(self, outcome: str, count: int) -> None:
        self._pages.labels(outcome).inc(count)

    def feeds_measured(self, conditions: Mapping[Any, int], overdue: int) -> None:
        for condition in CONDITIONS:
            self._feeds.labels(condition).set(conditions.get(condition, 0))
        self._overdue.set(overdue)
