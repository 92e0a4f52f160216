"""The last labels of a monitor: for what people read, never for the test.

Differences are kept in thousandths of a score point, which is finer than any headline, and evidence
in hundredths of its logarithm, so that two hundred labels fit a small snapshot; article ids of the
latest few, as examples.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from newsieve.drift.array_codec import decode_array, encode_array
from newsieve.drift.baseline import TWO_SIDED_95, hajek
from newsieve.drift.error_streams import ErrorStreams, Floats
from newsieve.drift.label_reader import Label

LABELS: Final = 200
FEWEST: Final = 30  # an interval of fewer would be a guess
EXAMPLES: Final = 12  # ids kept, of which the worst few are shown
SHOWN: Final = 3
MAX_ID_CHARACTERS: Final = 120  # longer ids are no examples: they would crowd the snapshot
POINT: Final = 1_000  # thousandths
LOG_POINT: Final = 100  # hundredths, of a logarithm to base 10
LEAST_EVIDENCE: Final = 1e-3  # that is drawn
SAME, DIFFERS, FAILED = range(3)


class Recent(NamedTuple):
    """Estimates from the latest labels, intervals of 95 %. Arrays have one entry per stream."""

    labels: int  # failures apart; without any, the arrays are NaN
    mean: Floats
    low: Floats
    high: Floats
    fail_rate: float
    fail_low: float
    fail_high: float


class Past(NamedTuple):
    """The course of things, by label, oldest first: for a picture."""

    positions: list[int]
    evidence: list[float]
    errors: list[float]  # the mean absolute error, NaN where the oracle failed
    weights: list[float]


class Window:
    """A ring of the last labels."""

    def __init__(self, streams: ErrorStreams) -> None:
        self._streams = streams
        self.count = 0  # ever put in
        self._differences = np.zeros((LABELS, len(streams.dimensions)), dtype=np.int16)
        self._weights = np.zeros(LABELS)
        self._marks = np.zeros(LABELS, dtype=np.int8)
        self._positions = np.zeros(LABELS, dtype=np.int64)
        self._evidence = np.zeros(LABELS, dtype=np.int16)
        self._ids: list[tuple[int, str]] = []  # with the number of their label

    def add(self, label: Label) -> None:
        """A label, or a failure."""
        slot = self.count % LABELS
        if label.values is None or label.differences is None:
            self._marks[slot] = FAILED
        else:
            self._differences[slot] = np.rint(label.differences * POINT)
            self._marks[slot] = DIFFERS if label.values[-1] else SAME
            if label.id is not None and len(label.id) <= MAX_ID_CHARACTERS:
                self._ids = [*self._ids[1 - EXAMPLES :], (self.count, label.id)]
        self._weights[slot] = 1 / label.pi
        self._positions[slot] = label.at
        self.count += 1

    def note(self, evidence: float) -> None:
        """What the evidence was after the last label put in."""
        logarithm = math.log10(min(max(evidence, LEAST_EVIDENCE), sys.float_info.max))
        self._evidence[(self.count - 1) % LABELS] = round(logarithm * LOG_POINT)

    def past(self) -> Past:
        order = self._latest_first()[::-1]
        errors = np.abs(self._differences[order] / POINT).mean(axis=1)
        errors[self._marks[order] == FAILED] = np.nan
        return Past(
            self._positions[order].tolist(),
            (10.0 ** (self._evidence[order] / LOG_POINT)).tolist(),
            errors.tolist(),
            self._weights[order].tolist(),
        )

    def recent(self, since: int | None) -> Recent | None:
        """Of the labels from a position on, a few at least, all that are kept at most.

        None where there are none.
        """
        if self.count == 0:
            return None
        order = self._latest_first()
        if since is not None:
            later = int((self._positions[order] >= since).sum())
            order = order[: max(later, FEWEST)]
        marks = self._marks[order]
        labelled = order[marks != FAILED]
        failing = _rate(len(order) - len(labelled), len(order))
        if not len(labelled):
            unknown = np.full(len(self._streams.names), np.nan)
            return Recent(0, unknown, unknown, unknown, *failing)
        found = hajek(self._values(labelled), self._weights[labelled])
        margin = TWO_SIDED_95 * found.error
        mean = found.mean
        return Recent(len(labelled), mean, mean - margin, mean + margin, *failing)

    def examples(self, stream: int) -> tuple[str, ...]:
        """Ids of the latest articles on which a stream is worst."""
        kept = [(n, name) for n, name in self._ids if n >= self.count - LABELS]
        if not kept:
            return ()
        values = self._values(np.array([n % LABELS for n, _ in kept]))[:, stream]
        worst = np.argsort(-values, kind="stable")[:SHOWN]
        return tuple(kept[at][1] for at in worst.tolist())

    def _latest_first(self) -> np.ndarray[Any, np.dtype[np.intp]]:
        return np.arange(self.count - 1, max(self.count - LABELS, 0) - 1, -1) % LABELS

    def _values(self, slots: np.ndarray[Any, np.dtype[np.intp]]) -> Floats:
        differs = (self._marks[slots] == DIFFERS).astype(np.float64)
        return self._streams.values(self._differences[slots] / POINT, differs)

    def snapshot(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "differences": encode_array(self._differences),
            "weights": encode_array(self._weights),
            "marks": encode_array(self._marks),
            "positions": encode_array(self._positions),
            "evidence": encode_array(self._evidence),
            "ids": self._ids,
        }

    def resume(self, facts: Mapping[str, Any]) -> None:
        """Go on where a snapshot was taken."""
        self.count = facts["count"]
        self._differences = decode_array(facts["differences"], np.int16).reshape(LABELS, -1)
        self._weights = decode_array(facts["weights"])
        self._marks = decode_array(facts["marks"], np.int8)
        self._positions = decode_array(facts["positions"], np.int64)
        self._evidence = decode_array(facts["evidence"], np.int16)
        self._ids = [(number, name) for number, name in facts["ids"]]


def _rate(count: int, of: int) -> tuple[float, float, float]:
    """A rate and its 95 % interval (Wilson, 1927)."""
    rate, squared = count / of, TWO_SIDED_95**2
    middle = (rate + squared / (2 * of)) / (1 + squared / of)
    half = math.sqrt(rate * (1 - rate) / of + squared / (4 * of * of)) / (1 + squared / of)
    return rate, max(middle - half * TWO_SIDED_95, 0.0), min(middle + half * TWO_SIDED_95, 1.0)
