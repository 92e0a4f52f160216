"""The baseline of a monitor: means of reference rows, and upper limits of those means.

A test bets against the limits, never against the means: half of all healthy students are above a
mean that is only estimated, and each of them would be found guilty in the end. Rows weigh 1/π
(Hájek), so a reference that was drawn with unequal probabilities stands for production. Sums are
kept instead of rows, so a baseline that is being made takes no more memory than a finished one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from newsieve.drift.array_codec import decode_array, encode_array
from newsieve.drift.error_streams import ErrorStreams, Floats
from newsieve.drift.stream_alignment import align

ONE_SIDED_95: Final = 1.645  # standard errors
TWO_SIDED_95: Final = 1.96
MISSES: Final = 0.05  # how often an upper limit may lie below the truth
NOTHING: Final = 1e-6  # score points; scores have 4 decimals, so this is no difference
HALVINGS: Final = 60  # of [0, 1]: to the last bit


class Estimate(NamedTuple):
    """A weighted mean per stream, and its linearised standard error."""

    mean: Floats
    error: Floats


@dataclass(frozen=True, slots=True)
class Baseline:
    """The baseline of one monitor. Arrays have one entry per stream."""

    limits: Floats  # m0: where the mean may be, with 95 % confidence from above
    means: Floats
    fail_limit: float
    fail_rate: float
    pi_min: float
    labels: int

    def bet_share(self, pi: float) -> float:
        """Return u: the share of a full bet that a label of this inclusion probability carries."""
        return min(1.0, self.pi_min / pi)

    def snapshot(self) -> dict[str, Any]:
        return {
            "limits": encode_array(self.limits),
            "means": encode_array(self.means),
            "fail_limit": self.fail_limit,
            "fail_rate": self.fail_rate,
            "pi_min": self.pi_min,
            "labels": self.labels,
        }

    @classmethod
    def restore(
        cls, snapshot: Mapping[str, Any], then: Sequence[str] = (), now: Sequence[str] = ()
    ) -> Baseline:
        """Return the baseline of a snapshot written with the streams `then`, for the streams
        `now`. A new stream's limit and mean are NaN: the reference rows say nothing of it."""
        arrays = {
            name: align(decode_array(snapshot[name]), then, now, np.nan)
            for name in ("limits", "means")
        }
        return cls(**{**snapshot, **arrays})


NO_ROWS: Final[Floats] = np.zeros(0)


class BaselineAccumulator:
    """Sums of reference rows. They are sums of distances from the first row, which loses no
    digits."""

    def __init__(self, streams: int) -> None:
        self.labels = 0
        self.failures = 0
        self._pi_first = self._pi_min = 1.0
        self._streams = streams
        self._origin: Floats = NO_ROWS  # the first row
        self._sums: Floats = NO_ROWS  # (3, S) of w·x, w²·x and w²·x²
        self._weight = self._squared_weight = 0.0

    def add(self, values: Floats | None, pi: float) -> None:
        """Add a row of (S,) values that was drawn with probability `pi`, or None for a failed
        label."""
        if values is None:
            self.failures += 1
            return
        if self.labels == 0:
            self._origin, self._pi_first, self._pi_min = values.copy(), pi, pi
            self._sums = np.zeros((3, self._streams))
        self.labels += 1
        self._pi_min = min(self._pi_min, pi)
        weight = self._pi_first / pi
        distance = values - self._origin
        self._weight += weight
        self._squared_weight += weight * weight
        self._sums[0] += weight * distance
        self._sums[1] += weight * weight * distance
        self._sums[2] += (weight * distance) ** 2

    def estimate(self) -> Estimate:
        """Return the Hájek means of the rows so far, of which there is at least one, and the
        linearised standard errors of these means (Särndal, Swensson, Wretman: Model Assisted Survey
        Sampling, section 5.7)."""
        first, second, third = self._sums
        mean = first / self._weight
        variance = third - 2 * mean * second + mean * mean * self._squared_weight
        return Estimate(self._origin + mean, np.sqrt(np.maximum(variance, 0)) / self._weight)

    def baseline(self, streams: ErrorStreams) -> Baseline:
        """Return the baseline of the rows so far, of which there is at least one.

        m0 = Hájek mean + 1.645 standard errors. A stream that never left its lowest value has a
        standard error of 0; its limit is the one that a rate gets of which no case was seen.
        """
        means, error = self.estimate()
        limits = means + ONE_SIDED_95 * error
        unseen = streams.lowest + (streams.highest - streams.lowest) * rate_limit(0, self.labels)
        rows = self.labels + self.failures
        return Baseline(
            np.where(limits - streams.lowest < NOTHING, unseen, limits),
            means,
            rate_limit(self.failures, rows),
            self.failures / rows,
            self._pi_min,
            self.labels,
        )

    def snapshot(self) -> dict[str, Any]:
        return {
            "labels": self.labels,
            "failures": self.failures,
            "pi": [self._pi_first, self._pi_min],
            "weights": [self._weight, self._squared_weight],
            "sums": encode_array(
                np.vstack([self._origin, self._sums])
                if self.labels
                else np.zeros((4, self._streams))
            ),
        }

    @classmethod
    def restore(
        cls, snapshot: Mapping[str, Any], then: Sequence[str] = (), now: Sequence[str] = ()
    ) -> BaselineAccumulator:
        """Return the accumulator of a snapshot written with the streams `then`, for the streams
        `now`. A new stream is NaN, unless there are no rows yet: rows are not kept."""
        sums = align(decode_array(snapshot["sums"]).reshape(4, -1), then, now, np.nan, axis=1)
        restored = cls(sums.shape[1])
        restored.labels, restored.failures = snapshot["labels"], snapshot["failures"]
        restored._pi_first, restored._pi_min = snapshot["pi"]
        restored._weight, restored._squared_weight = snapshot["weights"]
        if restored.labels:
            restored._origin, restored._sums = sums[0].copy(), sums[1:].copy()
        return restored


def rate_limit(failures: int, trials: int) -> float:
    """Return the exact one-sided 95 % upper limit of a binomial rate (Clopper, Pearson, 1934).

    It is 1 − 0.05^(1/n) when nothing failed.
    """
    if failures >= trials:
        return 1.0
    if failures == 0:
        return float(1 - MISSES ** (1 / trials))
    counts = np.arange(failures + 1)
    ways = np.array(
        [math.lgamma(trials + 1) - math.lgamma(i + 1) - math.lgamma(trials - i + 1) for i in counts]
    )
    low, high = failures / trials, 1.0
    for _ in range(HALVINGS):
        rate = (low + high) / 2
        logs = ways + counts * math.log(rate) + (trials - counts) * math.log1p(-rate)
        if np.exp(logs).sum() > MISSES:
            low = rate
        else:
            high = rate
    return high


def hajek(values: Floats, weights: Floats) -> Estimate:
    """Return the weighted means of (N, S) values and their linearised standard errors."""
    share = (weights / weights.sum())[:, None]
    mean = (share * values).sum(axis=0)
    return Estimate(mean, np.sqrt((share**2 * (values - mean) ** 2).sum(axis=0)))
