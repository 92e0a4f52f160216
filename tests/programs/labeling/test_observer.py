"""What the person on call sees of an oracle: calls, cost, the circuit, label lag."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from structlog.testing import capture_logs

from newsieve.programs.labeling.events import Waiting
from newsieve.programs.labeling.observer import OracleObserver
from newsieve.stream.metrics import OracleMetrics
from newsieve.stream.transaction_counts import TransactionCounts
from newsieve.stream.watchdog import Watchdog


def value(metrics: OracleMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"newsieve_{name}", labels)


def test_calls_are_counted_as_they_come_and_told_once_per_transaction() -> None:
    """A transaction that only claims is no news: its calls follow."""
    metrics = OracleMetrics()
    observer = OracleObserver(metrics, Watchdog(), dict)
    counts = TransactionCounts(
        records=2, outcomes=Counter({("uplifting", "labelled", "impact"): 2})
    )

    with capture_logs() as lines:
        observer.committed(TransactionCounts(), 0.01)
        observer.called("answered", 1.2, (1_000, 100), 0.002)
        observer.called("busy", 0.1, (0, 0), 0.0)
        observer.committed(counts, 0.01)
        observer.committed(TransactionCounts(), 0.01)

    (line,) = lines
    assert line["event"] == "transaction.committed"
    assert (line["requests"], line["labelled"], line["usd"]) == (2, 2, 0.002)
    assert (line["calls_answered"], line["calls_busy"]) == (1, 1)
    assert value(metrics, "oracle_calls_total", outcome="answered") == 1
    assert value(metrics, "oracle_tokens_total", direction="input") == 1_000
    assert value(metrics, "oracle_cost_usd_total") == 0.002
    labelled = {"filter": "uplifting", "outcome": "labelled", "tier": "impact"}
    assert value(metrics, "outcomes_total", **labelled) == 2


def test_a_provider_that_is_away_raises_label_lag_and_opens_the_circuit() -> None:
    """Both fall again when it answers."""
    metrics = OracleMetrics()
    observer = OracleObserver(metrics, Watchdog(), dict)
    an_hour_ago_ms = int((time.time() - 3_600) * 1_000)

    with capture_logs() as lines:
        observer.breaker_changed(is_open=False, failures=1, seconds=1.0, reason="503")
        observer.breaker_changed(is_open=True, failures=5, seconds=16.0, reason="503")
        observer.backlog_measured(12, an_hour_ago_ms, 40, float("inf"))
        assert value(metrics, "oracle_circuit_open") == 1
        lag = value(metrics, "label_lag_seconds")
        assert lag is not None and 3_600 <= lag < 3_700
        observer.breaker_changed(is_open=False, failures=0, seconds=0.0, reason="an answer")
        observer.backlog_measured(0, None, 40, float("inf"))

    assert value(metrics, "oracle_circuit_open") == 0
    assert value(metrics, "label_lag_seconds") == 0
    assert value(metrics, "oracle_calls_left") == 40
    observer.backlog_measured(1, an_hour_ago_ms // 1_000, 40, float("inf"))  # in seconds
    assert value(metrics, "label_lag_seconds") == 0
    assert [line["event"] for line in lines] == [
        "provider.paused",
        "circuit.opened",
        "circuit.closed",
    ]


def test_partitions_that_wait_are_said_at_once_and_then_at_intervals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loop tells of them several times a second; the gauge falls when they have gone on."""
    metrics = OracleMetrics()
    observer = OracleObserver(metrics, Watchdog(), dict)
    waiting = [Waiting(("t", number), 17, None, "no filter 'x/v2'") for number in (0, 1)]
    now = 1_000.0
    monkeypatch.setattr("newsieve.programs.labeling.observer.time.monotonic", lambda: now)

    with capture_logs() as lines:
        observer.not_loaded(waiting[:1])
        observer.not_loaded(waiting)
        observer.not_loaded(waiting)
        assert value(metrics, "oracle_waiting_partitions") == 2
        assert [line["partition"] for line in lines] == [0, 1]
        now += 61
        observer.not_loaded(waiting)
        observer.not_loaded([])

    assert value(metrics, "oracle_waiting_partitions") == 0
    assert [line["partition"] for line in lines] == [0, 1, 0, 1]
    assert {(line["event"], line["log_level"]) for line in lines} == {
        ("partition.waiting", "warning")
    }
    assert (lines[0]["topic"], lines[0]["offset"], lines[0]["reason"]) == (
        "t",
        17,
        "no filter 'x/v2'",
    )


def test_a_draw_with_another_key_is_counted_and_said_once_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every request says it."""
    metrics = OracleMetrics()
    observer = OracleObserver(metrics, Watchdog(), dict)
    now = 1_000.0
    monkeypatch.setattr("newsieve.programs.labeling.observer.time.monotonic", lambda: now)

    with capture_logs() as lines:
        for _ in range(3):
            observer.other_key("0123456789ab")
        now += 61
        observer.other_key("0123456789ab")

    assert [(line["event"], line["fingerprint"]) for line in lines] == [
        ("sampling.other_key", "0123456789ab")
    ] * 2
    assert value(metrics, "oracle_requests_of_other_key_total") == 4
