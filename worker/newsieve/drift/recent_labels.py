"""The last labels of a monitor, for estimates that people read. The test's evidence does not use
them.

Differences and the logarithm of the evidence are kept with single precision, which is finer than
any headline and halves the snapshot. Article ids of the latest few labels are kept as examples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from newsieve.drift.array_codec import decode_array, encode_array
from newsieve.drift.baseline import TWO_SIDED_95, hajek
from newsieve.drift.error_streams import Comparison, ErrorStreams, Floats
from newsieve.drift.label_reader import Label

LABELS: Final = 200
FEWEST: Final = 30  # labels of an interval; one of fewer would be a guess
EXAMPLES: Final = 12  # ids kept, of which the worst few are shown
SHOWN: Final = 3
MAX_ID_CHARACTERS: Final = 120  # longer ids are no examples: they would crowd the snapshot
LEAST_EVIDENCE: Final = 1e-3  # that a chart shows
MOST_EVIDENCE: Final = 1e300  # that a chart shows; its rounded logarithm still has a power
SAME, DIFFERS, FAILED = range(3)
FIRST_SLOTS: Final = 16  # a replay may hold thousands of monitors of a few labels each
FIELDS: Final = ("differences", "weights", "marks", "positions", "evidence")


class RecentEstimates(NamedTuple):
    """Estimates from the latest labels with intervals of 95 %. Arrays have one entry per stream."""

    labels: int  # failures apart; without any, the arrays are NaN
    mean: Floats
    low: Floats
    high: Floats
    fail_rate: float
    fail_low: float
    fail_high: float


class LabelHistory(NamedTuple):
    """Positions, evidence, errors and weights of the last labels, oldest first, for a chart."""

    positions: list[int]
    evidence: list[float]
    errors: list[float]  # the mean absolute error, NaN where the oracle failed
    weights: list[float]


class RecentLabels:
    """A ring of the last labels of one monitor, which grows to its full size with the labels."""

    def __init__(self, streams: ErrorStreams) -> None:
        self._streams = streams
        self.count = 0  # labels ever added
        self._ring = np.zeros(FIRST_SLOTS, _slot(len(streams.dimensions)))
        self._ids: list[tuple[int, str]] = []  # with the number of their label

    def add(self, label: Label) -> None:
        """Add a label, or a failed one."""
        slot = self.count % LABELS
        if slot >= len(self._ring):
            self._ring = _resized(self._ring, min(2 * len(self._ring), LABELS))
        here = self._ring[slot]
        if label.values is None or label.differences is None:
            here["marks"] = FAILED
        else:
            here["differences"] = label.differences
            here["marks"] = DIFFERS if label.tier_differs else SAME
            if label.id is not None and len(label.id) <= MAX_ID_CHARACTERS:
                self._ids = [*self._ids[1 - EXAMPLES :], (self.count, label.id)]
        here["weights"] = 1 / label.pi
        here["positions"] = label.position
        self.count += 1

    def set_evidence(self, evidence: float) -> None:
        """Store the evidence after the label that was added last."""
        logarithm = math.log10(min(max(evidence, LEAST_EVIDENCE), MOST_EVIDENCE))
        self._ring["evidence"][(self.count - 1) % LABELS] = logarithm

    def history(self) -> LabelHistory:
        """Return the course of evidence and error over the labels that are kept."""
        ring = self._ring[self._latest_first()[::-1]]
        errors = np.abs(ring["differences"].astype(np.float64)).mean(axis=1)
        errors[ring["marks"] == FAILED] = np.nan
        return LabelHistory(
            ring["positions"].tolist(),
            (10.0 ** ring["evidence"].astype(np.float64)).tolist(),
            errors.tolist(),
            ring["weights"].tolist(),
        )

    def estimates(self, since: int | None) -> RecentEstimates | None:
        """Return estimates from the labels since a position, but from FEWEST labels at least and
        from all that are kept at most.

        Returns None when there are no labels.
        """
        if self.count == 0:
            return None
        order = self._latest_first()
        if since is not None:
            later = int((self._ring["positions"][order] >= since).sum())
            order = order[: max(later, FEWEST)]
        marks = self._ring["marks"][order]
        labelled = order[marks != FAILED]
        failing = _rate(len(order) - len(labelled), len(order))
        if not len(labelled):
            unknown = np.full(len(self._streams.names), np.nan)
            return RecentEstimates(0, unknown, unknown, unknown, *failing)
        estimate = hajek(self._values(labelled), self._ring["weights"][labelled])
        margin = TWO_SIDED_95 * estimate.error
        mean = estimate.mean
        return RecentEstimates(len(labelled), mean, mean - margin, mean + margin, *failing)

    def examples(self, stream: int) -> tuple[str, ...]:
        """Return the ids of those of the latest articles on which a stream is worst."""
        known = [(n, name) for n, name in self._ids if n >= self.count - LABELS]
        if not known:
            return ()
        values = self._values(np.array([n % LABELS for n, _ in known]))[:, stream]
        worst = np.argsort(-values, kind="stable")[:SHOWN]
        return tuple(known[index][1] for index in worst.tolist())

    def _latest_first(self) -> np.ndarray[Any, np.dtype[np.intp]]:
        return np.arange(self.count - 1, max(self.count - LABELS, 0) - 1, -1) % LABELS

    def _values(self, slots: np.ndarray[Any, np.dtype[np.intp]]) -> Floats:
        ring = self._ring[slots]
        differs = (ring["marks"] == DIFFERS).astype(np.float64)
        return self._streams.values(Comparison(ring["differences"].astype(np.float64), differs))

    def snapshot(self) -> dict[str, Any]:
        """Return all labels that are kept, as JSON values."""
        used = self._ring[: min(self.count, LABELS)]
        fields = {name: encode_array(used[name]) for name in FIELDS}
        return {"count": self.count, **fields, "ids": self._ids}

    def resume(self, snapshot: Mapping[str, Any]) -> None:
        """Continue from the labels of a snapshot."""
        self.count = snapshot["count"]
        kind, used = self._ring.dtype, min(self.count, LABELS)
        self._ring = np.zeros(max(used, FIRST_SLOTS), kind)
        for name in FIELDS:
            values = decode_array(snapshot[name], kind[name].base)
            self._ring[name][:used] = values.reshape(-1, *kind[name].shape)[:used]
        self._ids = [(number, name) for number, name in snapshot["ids"]]


def _slot(dimensions: int) -> np.dtype[np.void]:
    """Return the dtype of one label in the ring."""
    kinds = [
        ("differences", np.float32, (dimensions,)),
        ("weights", np.float64),
        ("marks", np.int8),
        ("positions", np.int64),
        ("evidence", np.float32),  # its logarithm to base 10
    ]
    return np.dtype(kinds)


def _resized(ring: np.ndarray[Any, Any], slots: int) -> np.ndarray[Any, Any]:
    larger = np.zeros(slots, ring.dtype)
    larger[: len(ring)] = ring
    return larger


def _rate(count: int, of: int) -> tuple[float, float, float]:
    """Return a rate and the ends of its 95 % interval (Wilson, 1927)."""
    rate, squared = count / of, TWO_SIDED_95**2
    middle = (rate + squared / (2 * of)) / (1 + squared / of)
    half = math.sqrt(rate * (1 - rate) / of + squared / (4 * of * of)) / (1 + squared / of)
    return rate, max(middle - half * TWO_SIDED_95, 0.0), min(middle + half * TWO_SIDED_95, 1.0)
