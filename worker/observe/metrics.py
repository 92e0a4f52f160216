"""Every metric newsieve exports, declared once. Dashboards and alert rules use these names.

Labels come from filter, tier, outcome, stage, topic and partition; never from an article.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from worker.observe.events import Tally
from worker.scoring import DEAD_LETTER

LATENCY_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200, 86_400)
COMMIT_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class BulkHistogram(Collector):
    """A histogram that takes thousands of values at once."""

    def __init__(self, name: str, text: str, buckets: Sequence[float]) -> None:
        self._name, self._text = name, text
        self._bounds = [*buckets, float("inf")]
        self._counts = np.zeros(len(self._bounds), dtype=np.int64)
        self._sum = 0.0

    def observe(self, values: npt.NDArray[np.float64]) -> None:
        at = np.searchsorted(self._bounds, values)
        self._counts = self._counts + np.bincount(at, minlength=len(self._bounds))
        self._sum += float(values.sum())

    def collect(self) -> Iterator[HistogramMetricFamily]:
        cumulated = np.cumsum(self._counts).tolist()
        buckets = list(zip(map(floatToGoString, self._bounds), cumulated, strict=True))
        yield HistogramMetricFamily(self._name, self._text, buckets, self._sum)


class Metrics:
    """The worker's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._records = self._counter("records", "Raw records with an outcome, committed.")
        self._outcomes = self._counter(
            "outcomes", "Outcomes per (raw record, filter), committed.", "filter", "outcome", "tier"
        )
        self._dead_letters = self._counter("dead_letters", "Dead letters.", "filter", "stage")
        self._tombstones = self._counter("tombstones", "Null values, skipped.")
        self._nulled = self._counter("fields_nulled", "Optional fields of a wrong type.")
        self._expired = self._counter(
            "records_expired", "Raw records that retention removed before they were scored."
        )
        self._transactions = self._counter("transactions", "Transactions ended.", "outcome")
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
        self._lag = Gauge(
            "newsieve_lag_records",
            "Raw records behind the end of a partition.",
            ["topic", "partition"],
            registry=self.registry,
        )

    def committed(self, tally: Tally, seconds: float) -> None:
        self._records.inc(tally.records)
        self._tombstones.inc(tally.tombstones)
        self._nulled.inc(tally.nulled_fields)
        self._transactions.labels("committed").inc()
        self._commit.observe(seconds)
        for (filter_name, outcome, detail), count in tally.outcomes.items():
            if outcome == DEAD_LETTER:
                self._dead_letters.labels(filter_name, detail).inc(count)
                self._outcomes.labels(filter_name, outcome, "").inc(count)
            else:
                self._outcomes.labels(filter_name, outcome, detail).inc(count)
        latency_seconds = time.time() - np.array(tally.timestamps_ms) / 1_000
        self._latency.observe(np.maximum(latency_seconds, 0))  # clocks differ; sums never fall

    def expired(self, records: int) -> None:
        self._expired.inc(records)

    def aborted(self) -> None:
        self._transactions.labels("aborted").inc()

    def lag(self, records: Mapping[tuple[str, int], int]) -> None:
        """Set the lag of the partitions we own; others are forgotten."""
        self._lag.clear()
        for (topic, partition), count in records.items():
            self._lag.labels(topic, str(partition)).set(count)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"newsieve_{name}", text, labels, registry=self.registry)
