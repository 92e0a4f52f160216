"""What an ingester of feeds shows: metrics and log lines without secrets."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from newsieve.errors import TopicsWrong
from newsieve.feeds.feed import Feed, FetchedFeed, FetchOutcome
from newsieve.programs.ingest import feeds_observer
from newsieve.programs.ingest.events import FeedsTransaction
from newsieve.programs.ingest.feeds_observer import LoggingFeedsObserver, shown_url
from newsieve.programs.ingest.fetch_pool import EndedFetch
from newsieve.programs.ingest.state_records import read_state, state_record
from newsieve.stream.ingest_metrics import IngestMetrics
from newsieve.stream.logs import get_logger
from newsieve.stream.watchdog import Watchdog
from newsieve_schemas.ingest import IngestState
from tests.support.feeds_scene import NOW, state_of

URL = "https://user:word@news.example:8443/feed?key=secret"


def ended(
    outcome: FetchOutcome, reason: str | None, before: dict[str, Any], after: dict[str, Any]
) -> EndedFetch:
    fetched = FetchedFeed(outcome, [], state_of(URL, {}, **after), reason)
    return EndedFetch(Feed(URL), state_of(URL, {}, **before), fetched, 0.2)


@pytest.mark.parametrize(
    ("outcome", "reason", "before", "after", "events"),
    [
        ("read", None, {}, {}, []),
        ("unchanged", None, {}, {}, []),
        ("failed", "the server answers 500", {}, {"failures": 1}, ["feed.failed"]),
        ("unchanged", None, {"failures": 2}, {}, ["feed.recovered"]),
        ("gone", "gone", {}, {"gone": True, "failures": 1}, ["feed.gone"]),
        ("read", "moved", {}, {"moved_to": URL}, ["feed.moved"]),
        ("read", None, {"moved_to": URL}, {"moved_to": URL}, []),
        ("read", "half of it", {}, {}, ["feed.flawed"]),
    ],
)
def test_what_a_person_may_act_on_is_logged_without_secrets(
    outcome: FetchOutcome,
    reason: str | None,
    before: dict[str, Any],
    after: dict[str, Any],
    events: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A feed that is well says nothing."""
    # one that was used before keeps the processors of its first use
    monkeypatch.setattr(feeds_observer, "_log", get_logger("ingest"))
    observer = LoggingFeedsObserver(IngestMetrics(), Watchdog(), dict)

    with capture_logs() as logged:
        observer.fetched(ended(outcome, reason, before, after))

    assert [entry["event"] for entry in logged] == events
    assert all(entry["feed"] == "https://news.example:8443/feed?…" for entry in logged)
    assert "secret" not in str(logged) and "word" not in str(logged)


def test_metrics_count_feeds_and_articles_and_name_none() -> None:
    """By outcome, condition and kind."""
    metrics = IngestMetrics()
    observer = LoggingFeedsObserver(metrics, Watchdog(), dict)
    observer.fetched(ended("failed", "500", {}, {"failures": 1}))
    observer.feeds_committed(FeedsTransaction(Counter(read=2), new=5, changed=2, too_large=1), 0.01)
    observer.feeds_measured({"ok": 7, "failing": 1}, 3)

    text = generate_latest(metrics.registry).decode()

    for line in (
        'newsieve_ingest_fetches_total{outcome="failed"} 1.0',
        'newsieve_ingest_articles_total{kind="new"} 5.0',
        'newsieve_ingest_articles_total{kind="too_large"} 1.0',
        'newsieve_ingest_feeds{condition="ok"} 7.0',
        'newsieve_ingest_feeds{condition="gone"} 0.0',
        "newsieve_ingest_feeds_overdue 3.0",
        'newsieve_transactions_total{outcome="committed"} 1.0',
    ):
        assert line in text
    assert "news.example" not in text
    assert observer.articles == 6


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/feed.xml", "https://a.example/feed.xml"),
        ("http://[2001:db8::1]:80/x?y", "http://[2001:db8::1]:80/x?…"),
        ("http://[bad", "an address that cannot be read"),
    ],
)
def test_an_address_is_shown_without_what_may_be_a_secret(url: str, shown: str) -> None:
    """Whatever it looks like."""
    assert shown_url(url) == shown


def test_a_state_is_read_as_it_was_written() -> None:
    """And one that cannot be read is named, with what to do."""
    state = IngestState(feed=state_of(URL, {"a": "x"}), file=None, updated_at=NOW)
    record = state_record("p.feeds", b"newsieve/ingest/g", URL.encode(), state)

    assert read_state(URL.encode(), record.value or b"") == state
    assert dict(record.headers)["ce_type"] == b"newsieve.ingest.state.v1"
    with pytest.raises(TopicsWrong, match="A null value with that key forgets it"):
        read_state(b"key", b'{"feed": 1}')
