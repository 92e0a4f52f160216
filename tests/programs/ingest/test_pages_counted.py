"""What came of the pages behind summaries is counted with the articles that it is of."""

from __future__ import annotations

from prometheus_client import generate_latest

from newsieve.feeds.feed import Feed, FetchedFeed
from newsieve.programs.ingest.events import FeedsTransaction
from newsieve.programs.ingest.feeds_observer import LoggingFeedsObserver
from newsieve.programs.ingest.fetch_pool import EndedFetch
from newsieve.stream.ingest_metrics import IngestMetrics
from newsieve.stream.watchdog import Watchdog
from tests.support.feeds_scene import state_of

URL = "https://harbour.example/feed"
MARKS = (
    "read", "read", "refused: robots.txt does not allow it", "failed: no answer: refused", None,
)  # fmt: skip


def test_pages_are_counted_when_their_articles_are_committed() -> None:
    """By outcome, whatever the reason was; an article whose feed had its text counts for none."""
    articles = [{"id": str(n), "full_text": mark} for n, mark in enumerate(MARKS)]
    articles[-1].pop("full_text")
    metrics = IngestMetrics()
    observer = LoggingFeedsObserver(metrics, Watchdog(60), dict)
    transaction = FeedsTransaction()
    for _ in range(2):
        fetched = FetchedFeed("read", articles, state_of(URL, {}))
        transaction.add(EndedFetch(Feed(URL, full_text=True), None, fetched, 1.0))
    before = generate_latest(metrics.registry).decode()
    observer.feeds_committed(transaction, 0.1)

    for outcome, count in (("read", 4.0), ("refused", 2.0), ("failed", 2.0)):
        name = f'newsieve_ingest_pages_total{{outcome="{outcome}"}}'
        assert f"{name} 0.0" in before
        assert f"{name} {count}" in generate_latest(metrics.registry).decode()
