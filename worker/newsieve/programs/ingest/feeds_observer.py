"""Turns what an ingester of feeds reports into metrics, log lines and heartbeats, never with an
article's text, nor with the part of an address that may be a secret."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from newsieve.feeds.feed import Feed
from newsieve.programs.ingest.events import FeedCondition, FeedsTransaction
from newsieve.programs.ingest.fetch_pool import EndedFetch
from newsieve.stream.ingest_metrics import IngestMetrics
from newsieve.stream.logs import get_logger
from newsieve.stream.observer import WorkerObserver
from newsieve.stream.transaction_counts import TransactionCounts
from newsieve.stream.watchdog import Watchdog

SECONDS_DIGITS: Final = 3
SHOWN_CHARACTERS: Final = 300  # of an address or an id

_log = get_logger("ingest")


class LoggingFeedsObserver(WorkerObserver):
    """Watches one ingester of feeds."""

    def __init__(
        self,
        metrics: IngestMetrics,
        watchdog: Watchdog,
        lag: Callable[[], Mapping[tuple[str, int], int]],
    ) -> None:
        super().__init__(metrics, watchdog, lag)
        self._ingest_metrics = metrics
        self.fetches: Counter[str] = Counter()  # since the start, by outcome
        self.articles = 0  # committed since the start

    def fetched(self, ended: EndedFetch) -> None:
        """Count a fetch, and log what a person may want to do something about."""
        feed, former, fetched, seconds = ended
        self._ingest_metrics.fetched(fetched.outcome, seconds)
        self.fetches[fetched.outcome] += 1
        shown, state = shown_url(feed.url), fetched.state
        if fetched.outcome == "failed":
            _log.warning(
                "feed.failed", feed=shown, failures_in_a_row=state.failures, reason=fetched.reason
            )
        elif fetched.outcome == "gone":
            _log.warning("feed.gone", feed=shown, reason=fetched.reason)
        elif former is not None and former.failures:
            _log.info("feed.recovered", feed=shown, failures_before=former.failures)
        if state.moved_to is not None and (former is None or former.moved_to != state.moved_to):
            _log.warning("feed.moved", feed=shown, to=shown_url(state.moved_to))
        elif fetched.reason is not None and fetched.outcome in ("read", "unchanged"):
            _log.warning("feed.flawed", feed=shown, reason=fetched.reason)

    def article_too_large(self, feed: Feed, article_id: str, reason: str) -> None:
        """Log an article that is left out."""
        _log.warning(
            "article.too_large",
            feed=shown_url(feed.url),
            article=article_id[:SHOWN_CHARACTERS],
            reason=reason,
        )

    def feeds_committed(self, transaction: FeedsTransaction, seconds: float) -> None:
        """Count a transaction, and log one line about it."""
        self._watchdog.beat()
        self._metrics.committed(TransactionCounts(), seconds)
        for kind in ("new", "changed", "too_large"):
            self._ingest_metrics.articles_committed(kind, getattr(transaction, kind))
        for outcome, count in transaction.pages.items():
            self._ingest_metrics.pages_committed(outcome, count)
        published = transaction.new + transaction.changed - transaction.too_large
        self.articles += published
        _log.info(
            "transaction.committed",
            articles=published,
            changed=transaction.changed,
            seconds=round(seconds, SECONDS_DIGITS),
            **{f"feeds_{outcome}": count for outcome, count in transaction.fetches.items()},
        )

    def feeds_measured(self, conditions: Mapping[FeedCondition, int], overdue: int) -> None:
        """Export in which condition the feeds are."""
        self._ingest_metrics.feeds_measured(conditions, overdue)

    def list_read(self, feeds: int, failure: str | None) -> None:
        """Log that the list has changed."""
        if failure is None:
            _log.info("list.read", feeds=feeds)
        else:
            _log.error(
                "list.unreadable", reason=failure, feeds=feeds, advice="the former list holds"
            )

    def feeds_drained(self, broken_off: int) -> None:
        """Log that the program has stopped."""
        _log.info("ingest.drained", articles_committed=self.articles, fetches_broken_off=broken_off)


def shown_url(url: str) -> str:
    """Return an address without what may be a secret in it: its user, password and query."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "an address that cannot be read"
    place = f"[{host}]" if ":" in host else host
    if port is not None:
        place += f":{port}"
    query = "?…" if parts.query else ""
    return f"{parts.scheme}://{place}{parts.path}{query}"[:SHOWN_CHARACTERS]
