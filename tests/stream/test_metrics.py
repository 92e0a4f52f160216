"""What /metrics says of what was committed."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from newsieve.records.article_tally import ArticleTally
from newsieve.stream.bulk_histogram import BulkHistogram
from newsieve.stream.metrics import LATENCY_SECONDS, Metrics
from newsieve.stream.transaction_counts import TransactionCounts


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"newsieve_{name}", labels)


def test_a_committed_transaction_is_counted_by_filter_outcome_and_tier() -> None:
    """Dead letters also by stage, and the latency of each record."""
    metrics = Metrics()
    an_hour_ago_ms = int((time.time() - 3_600) * 1_000)
    counts = TransactionCounts(
        records=3,
        tombstones=1,
        outcomes=Counter(
            {
                ("uplifting", "scored", "connection"): 2,
                ("uplifting", "blocked", ""): 1,
                ("", "dead_letter", "decode"): 1,
            }
        ),
        timestamps_ms=[an_hour_ago_ms] * 3,
    )
    metrics.committed(counts, 0.02)
    metrics.aborted("unknown")

    assert value(metrics, "records_total") == 3
    assert value(metrics, "tombstones_total") == 1
    scored = {"filter": "uplifting", "outcome": "scored", "tier": "connection"}
    assert value(metrics, "outcomes_total", **scored) == 2
    assert value(metrics, "dead_letters_total", filter="", stage="decode") == 1
    assert value(metrics, "transactions_total", outcome="committed") == 1
    assert value(metrics, "transactions_total", outcome="aborted") == 1
    assert value(metrics, "transactions_aborted_total", fault="unknown") == 1
    assert value(metrics, "transactions_aborted_total", fault="permanent") == 0
    assert value(metrics, "end_to_end_seconds_count") == 3
    assert value(metrics, "end_to_end_seconds_bucket", le="1800.0") == 0
    assert value(metrics, "end_to_end_seconds_bucket", le="7200.0") == 3


def test_how_articles_came_in_is_counted() -> None:
    """Without a body, with a date that is not understood, by envelope; each from zero on."""
    metrics = Metrics()
    tally = ArticleTally(
        3, title_only=2, with_markup=1, unknown_dates=1, envelopes=Counter(gzip=2, debezium=1)
    )

    metrics.committed(TransactionCounts(articles=tally), 0.02)

    assert value(metrics, "articles_without_body_total") == 2
    assert value(metrics, "articles_with_markup_total") == 1
    assert value(metrics, "dates_not_understood_total") == 1
    assert value(metrics, "enveloped_articles_total", envelope="gzip") == 2
    assert value(metrics, "enveloped_articles_total", envelope="debezium") == 1
    assert value(metrics, "enveloped_articles_total", envelope="connect") == 0


def now_ms() -> int:
    """Asked for by each test: a suite takes longer than clocks may differ by."""
    return int(time.time() * 1_000)


NOW_MS = now_ms()


def test_a_clock_that_is_a_little_ahead_is_no_negative_latency() -> None:
    """The sum of a histogram never falls: a scraper would take that for a restart."""
    metrics = Metrics()

    metrics.committed(TransactionCounts(records=2, timestamps_ms=[now_ms() + 60_000] * 2), 0.02)

    assert value(metrics, "end_to_end_seconds_count") == 2
    assert value(metrics, "end_to_end_seconds_sum") == 0
    assert value(metrics, "record_timestamps_ignored_total") == 0


@pytest.mark.parametrize(
    "timestamp_ms",
    [
        pytest.param(NOW_MS + 3_600_000, id="an hour ahead"),
        pytest.param(NOW_MS * 1_000, id="microseconds"),
        pytest.param(NOW_MS * 1_000_000, id="nanoseconds"),
        pytest.param(NOW_MS // 1_000, id="seconds"),
        pytest.param(0, id="nothing"),
        pytest.param(-1, id="no timestamp"),
    ],
)
def test_a_timestamp_that_cannot_be_true_enters_no_latency(timestamp_ms: int) -> None:
    """It is counted; of the records beside it the latency is known."""
    metrics = Metrics()
    stamps = [timestamp_ms, now_ms() - 2_000]

    metrics.committed(
        TransactionCounts(records=3, timestamps_ms=stamps), 0.02
    )  # one has none at all

    assert value(metrics, "end_to_end_seconds_count") == 1
    assert value(metrics, "end_to_end_seconds_bucket", le="300.0") == 1
    assert value(metrics, "record_timestamps_ignored_total") == 2


def test_a_partition_that_was_given_up_has_no_lag_any_more() -> None:
    """Or its last value would alarm for ever."""
    metrics = Metrics()
    metrics.lag({("articles.raw", 0): 7, ("articles.raw", 1): 9})
    metrics.lag({("articles.raw", 1): 2})

    assert value(metrics, "lag_records", topic="articles.raw", partition="0") is None
    assert value(metrics, "lag_records", topic="articles.raw", partition="1") == 2


@given(batches=st.lists(st.lists(st.sampled_from([0.0, 0.25, 0.375, 5.0, 7.0, 1e6]), max_size=9)))
@settings(max_examples=50)
def test_values_taken_in_bulk_are_exposed_as_prometheus_exposes_them_one_by_one(
    batches: list[list[float]],
) -> None:
    """Same buckets, count and sum, as a scraper reads them."""
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    one_by_one = Histogram("seconds", "Text.", buckets=LATENCY_SECONDS, registry=theirs)
    bulk = BulkHistogram("seconds", "Text.", LATENCY_SECONDS)
    ours.register(bulk)
    for batch in batches:
        bulk.observe(np.array(batch))
        for item in batch:
            one_by_one.observe(item)

    def samples(registry: CollectorRegistry) -> list[bytes]:
        lines = generate_latest(registry).splitlines()
        return [line for line in lines if b"_created" not in line]

    assert samples(ours) == samples(theirs)
