"""Other ways to notice drift, on the same labels: river's detectors and NannyML's chunk rule.

river is a dependency of this benchmark alone: pip install river.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from river.drift import ADWIN, KSWIN, PageHinkley

from newsieve.drift.error_streams import Floats

CHUNK = 100
SIGMAS = 3

# Each takes (reference, labels), (n, S) streams of one run, mae first and then the dimensions'
# absolute errors, and gives the positions of its alarms among the labels.
Rival = Callable[[Floats, Floats], Sequence[int]]


def _single(make: Callable[[], Any]) -> Rival:
    def alarms(reference: Floats, labels: Floats) -> Sequence[int]:
        return _watch(make(), reference[:, 0].tolist(), labels[:, 0].tolist())

    return alarms


def _watch(detector: Any, reference: list[float], labels: list[float]) -> list[int]:
    for value in reference:
        detector.update(value)
    found = []
    for at, value in enumerate(labels, 1):
        detector.update(value)
        if detector.drift_detected:
            found.append(at)
    return found


def adwin_on_dimensions(reference: Floats, labels: Floats) -> Sequence[int]:
    """One ADWIN a dimension; any of them counts."""
    count = (reference.shape[1] - 5) // 3
    found: set[int] = set()
    for column in range(1, 1 + count):
        found.update(_watch(ADWIN(), reference[:, column].tolist(), labels[:, column].tolist()))
    return sorted(found)


def chunk_rule(reference: Floats, labels: Floats) -> Sequence[int]:
    """A chunk's mean outside three standard deviations of the reference's chunk means."""
    known = reference[:, 0].reshape(-1, CHUNK).mean(axis=1)
    margin = SIGMAS * known.std()
    whole = len(labels) // CHUNK * CHUNK
    means = labels[:whole, 0].reshape(-1, CHUNK).mean(axis=1)
    outside = np.flatnonzero(np.abs(means - known.mean()) > margin)
    return [(at + 1) * CHUNK for at in outside.tolist()]


RIVALS: dict[str, Rival] = {
    "ADWIN default": _single(ADWIN),
    "ADWIN on 8 dimensions": adwin_on_dimensions,
    "Page–Hinkley default": _single(PageHinkley),
    "3σ chunk rule": chunk_rule,
}
# A Kolmogorov–Smirnov test at each label is slow: fewer runs.
SLOW_RIVALS: dict[str, Rival] = {"KSWIN default": _single(lambda: KSWIN(seed=0))}
