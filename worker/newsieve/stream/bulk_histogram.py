"""A histogram for Prometheus that takes an array of values in one step, as each commit has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


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
