"""Every metric newsieve exports, declared once. Dashboards and alert rules use these names.

Labels come from filter, tier, outcome, stage, fault, kind, envelope, topic, partition; never an
article.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Final, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
)

import newsieve
from newsieve.filters.suspect import KINDS
from newsieve.stream.article_counters import ArticleCounters
from newsieve.stream.bulk_histogram import BulkHistogram
from newsieve.stream.latency import latencies_seconds
from newsieve.stream.outcome import DEAD_LETTER
from newsieve.stream.transaction_counts import AbortFault, TransactionCounts
from newsieve_schemas.drift import State

LATENCY_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200, 86_400)
COMMIT_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
STATES: Final[tuple[State, ...]] = get_args(State)
FAULTS: Final[tuple[AbortFault, ...]] = get_args(AbortFault)
CALL_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)


def _build() -> dict[str, str]:
    """The versions of what is installed, empty where a package is not. Nothing is imported to find
    out."""
    found = {"version": newsieve.__version__, "python": platform.python_version()}
    for name in ("confluent_kafka", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


def describe_process(registry: CollectorRegistry) -> None:
    """Export what runs, and since when, which shows whether it starts anew."""
    ProcessCollector(registry=registry)
    Info("newsieve_build", "What runs: the labels say it.", registry=registry).info(_build())


class Metrics:
    """The worker's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        describe_process(self.registry)
        self._ready = self._gauge("ready", "1: at work, or ready to take over; as /readyz.")
        self._records = self._counter("records", "Raw records with an outcome, committed.")
        self._outcomes = self._counter(
            "outcomes", "Outcomes per (raw record, filter), committed.", "filter", "outcome", "tier"
        )
        self._dead_letters = self._counter("dead_letters", "Dead letters.", "filter", "stage")
        self._tombstones = self._counter("tombstones", "Null values, skipped.")
        self._nulled = self._counter(
            "fields_nulled", "Optional fields of a wrong type or too long."
        )
        self._article_counters = ArticleCounters(self.registry)
        self._suspect = self._counter("suspect_articles", "That speak to a model, by how.", "kind")
        self._on_record = self._counter(
            "tier_records_on_record",
            "Tier records that a backfill did not publish again: they are on record.",
        )
        self._expired = self._counter(
            "records_expired", "Raw records that retention removed before they were scored."
        )
        self._crashes = self._counter(
            "crashes_inherited",
            "Partitions taken over at records that were in flight when a process died.",
        )
        self._transactions = self._counter("transactions", "Transactions ended.", "outcome")
        self._aborts = self._counter(
            "transactions_aborted",
            "Transactions aborted: passing, permanent, or for a reason nobody has listed.",
            "fault",
        )
        self._begin_at_zero()
        self._declare_measurements()

    def _declare_measurements(self) -> None:
        self._commit = Histogram(
            "newsieve_commit_seconds",
            "Time to send offsets and commit.",
            buckets=COMMIT_SECONDS,
            registry=self.registry,
        )
        self._latency = BulkHistogram(
            "newsieve_end_to_end_seconds",
            "From the raw record's timestamp to its committed outcome.",
            LATENCY_SECONDS,
        )
        self.registry.register(self._latency)
        self._timestamps_ignored = self._counter(
            "record_timestamps_ignored",
            "Records without a timestamp that can be true: no latency has them.",
        )
        self._lag = self._gauge(
            "lag_records", "Records behind the end of a partition.", "topic", "partition"
        )
        self._canary_difference = self._gauge(
            "canary_difference", "Largest difference of a canary, in score points.", "filter"
        )
        self._canaries_passed = self._gauge(
            "canaries_passed", "1: the student reproduces its canaries.", "filter"
        )

    def _begin_at_zero(self) -> None:
        """Let counters exist before they count: or a program that never commits shows nothing, and
        the first fault is no increase."""
        for outcome in ("committed", "aborted"):
            self._transactions.labels(outcome)
        for fault in FAULTS:
            self._aborts.labels(fault)
        for kind in KINDS:
            self._suspect.labels(kind)

    def ready_when(self, is_ready: Callable[[], bool]) -> None:
        self._ready.set_function(lambda: float(is_ready()))

    def committed(self, transaction: TransactionCounts, seconds: float) -> None:
        self._records.inc(transaction.records)
        self._tombstones.inc(transaction.tombstones)
        self._nulled.inc(transaction.nulled_fields)
        self._article_counters.committed(transaction.articles)
        self._on_record.inc(transaction.on_record)
        for kind, count in transaction.suspect.items():
            self._suspect.labels(kind).inc(count)
        self._transactions.labels("committed").inc()
        self._commit.observe(seconds)
        for (filter_name, outcome, detail), count in transaction.outcomes.items():
            if outcome == DEAD_LETTER:
                self._dead_letters.labels(filter_name, detail).inc(count)
                self._outcomes.labels(filter_name, outcome, "").inc(count)
            else:
                self._outcomes.labels(filter_name, outcome, detail).inc(count)
        seconds_each = latencies_seconds(transaction.timestamps_ms, time.time() * 1_000)
        self._latency.observe(seconds_each)
        self._timestamps_ignored.inc(transaction.records - len(seconds_each))

    def expired(self, records: int) -> None:
        self._expired.inc(records)

    def crash_inherited(self) -> None:
        self._crashes.inc()

    def aborted(self, fault: AbortFault) -> None:
        self._transactions.labels("aborted").inc()
        self._aborts.labels(fault).inc()

    def lag(self, records: Mapping[tuple[str, int], int]) -> None:
        """Set the lag of the partitions we own; others are forgotten."""
        self._lag.clear()
        for (topic, partition), count in records.items():
            self._lag.labels(topic, str(partition)).set(count)

    def canaries(self, filter_name: str, difference: float, *, passed: bool) -> None:
        self._canary_difference.labels(filter_name).set(difference)
        self._canaries_passed.labels(filter_name).set(passed)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"newsieve_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"newsieve_{name}", text, labels, registry=self.registry)


class OracleMetrics(Metrics):
    """The oracle's: those above, where a record is a request and an outcome its label's status,
    and what asking costs."""

    def __init__(self) -> None:
        super().__init__()
        self._calls = self._counter(
            "oracle_calls", "Calls to the provider, by what came of them.", "outcome"
        )
        self._call_seconds = Histogram(
            "newsieve_oracle_call_seconds",
            "Time of a call to the provider.",
            buckets=CALL_SECONDS,
            registry=self.registry,
        )
        self._tokens = self._counter("oracle_tokens", "Tokens used, by direction.", "direction")
        self._cost = self._counter("oracle_cost_usd", "What the calls cost, in USD.")
        self._circuit = self._gauge("oracle_circuit_open", "1: the provider is taken to be away.")
        self._calls_left = self._gauge("oracle_calls_left", "Of today's budget, of our shares.")
        self._usd_left = self._gauge("oracle_usd_left", "Of today's budget, in USD; +Inf: no cap.")
        self._waiting = self._gauge("label_waiting_requests", "Requests in memory, without label.")
        self._label_lag = self._gauge("label_lag_seconds", "Age of the oldest of them.")
        self._other_key = self._counter(
            "oracle_requests_of_other_key", "Requests drawn with a key that is not this oracle's."
        )
        self._not_loaded = self._gauge(
            "oracle_waiting_partitions",
            "Partitions that wait at a request of a filter that this oracle has not loaded.",
        )

    def called(self, outcome: str, seconds: float, tokens: tuple[int, int], usd: float) -> None:
        """`tokens` are those sent and those received."""
        self._calls.labels(outcome).inc()
        self._call_seconds.observe(seconds)
        self._tokens.labels("input").inc(tokens[0])
        self._tokens.labels("output").inc(tokens[1])
        self._cost.inc(usd)

    def circuit(self, *, is_open: bool) -> None:
        self._circuit.set(is_open)

    def other_key(self) -> None:
        self._other_key.inc()

    def not_loaded(self, partitions: int) -> None:
        self._not_loaded.set(partitions)

    def backlog_measured(self, waiting: int, lag_seconds: float, calls: int, usd: float) -> None:
        self._waiting.set(waiting)
        self._label_lag.set(lag_seconds)
        self._calls_left.set(calls)
        self._usd_left.set(usd)


class DriftMetrics(Metrics):
    """The drift monitor's metrics: the worker's, in which each input is a record and what it was is
    its outcome, and the state of each monitor by filter and stratum. Anchors, canaries and articles
    have states only, suspect articles an error only."""

    def __init__(self) -> None:
        super().__init__()
        where = ("filter", "stratum")
        self._state = self._gauge("drift_state", "1: the state it is in.", *where, "state")
        self._severity = self._gauge("drift_critical", "1: an incident is critical.", *where)
        self._evidence = self._gauge("drift_evidence", "Evidence of drift; 10,000 alarms.", *where)
        self._error = self._gauge(
            "drift_error",
            "Mean absolute error: estimate, low, high (95 %), usual.",
            *where,
            "value",
        )
        self._labels = self._gauge("drift_labels", "Labels tested since the baseline.", *where)
        self._labelled_at = self._gauge(
            "drift_last_label_timestamp_seconds", "When the last label came.", *where
        )
        self._alerts = self._counter("drift_alerts", "Alerts published.", "filter", "state")
        self._at_work = self._gauge("drift_at_work", "1: this process of the group is at work.")
        self._buffered = self._gauge("drift_records_at_hand", "Records whose turn has not come.")

    def alert_published(self, filter_name: str, state: State) -> None:
        self._alerts.labels(filter_name, state).inc()

    def at_work(self, buffered: int | None) -> None:
        """Set the number of buffered records, and forget all monitors until they are set again.
        None: another process is at work, whose metrics have the monitors."""
        self._at_work.set(buffered is not None)
        self._buffered.set(buffered or 0)
        for gauge in (self._state, self._severity, self._evidence, self._error, self._labels):
            gauge.clear()
        self._labelled_at.clear()

    def state(self, filter_name: str, stratum: str, state: State) -> None:
        for name in STATES:
            self._state.labels(filter_name, stratum, name).set(name == state)

    def severity(self, filter_name: str, stratum: str, *, is_critical: bool) -> None:
        self._severity.labels(filter_name, stratum).set(is_critical)

    def evidence(self, filter_name: str, stratum: str, value: float) -> None:
        self._evidence.labels(filter_name, stratum).set(value)

    def labels(
        self, filter_name: str, stratum: str, count: int, last_label_ms: int | None = None
    ) -> None:
        self._labels.labels(filter_name, stratum).set(count)
        if last_label_ms is not None:
            self._labelled_at.labels(filter_name, stratum).set(last_label_ms / 1_000)

    def error(self, filter_name: str, stratum: str, **values: float) -> None:
        """Set the mean absolute error: `estimate`, and where they are known `low`, `high` (the
        ends of its 95 % interval) and `usual` (the baseline)."""
        for name, value in values.items():
            self._error.labels(filter_name, stratum, name).set(value)
