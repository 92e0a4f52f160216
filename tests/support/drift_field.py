"""Real (student, oracle) pairs, and what may become of them: the field that detectors play on.

335 articles of the uplifting filter, numbers only. Runs draw from them with replacement; a drift
changes the student's error and leaves its sign, unless it is about signs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from newsieve.drift.error_streams import Comparison, ErrorStreams, Floats
from tests.support.filters import load

PAIRS = Path(__file__).parent / "data" / "pairs_uplifting_v4.jsonl"
COPIES = 20  # of each pair, where a drift is left to chance
ONE_DIMENSION = "wonder"

Change = Callable[["Field", np.random.Generator], tuple[Floats, Floats]]


@dataclass(frozen=True)
class Field:
    """N pairs: (N, D) student and oracle, their differences, and (N,) whether tiers differ."""

    streams: ErrorStreams
    student: Floats
    oracle: Floats
    differences: Floats
    tier_differs: Floats
    surfaced: npt.NDArray[np.bool_]

    def values(self, differences: Floats, tier_differs: Floats) -> Floats:
        return self.streams.values(Comparison(differences, tier_differs))


def load_field() -> Field:
    filter_ = load("uplifting")
    streams = ErrorStreams(filter_)
    rows = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]
    student, oracle = (
        np.array([[row[who][name] for name in streams.dimensions] for row in rows], dtype=float)
        for who in ("student", "oracle")
    )
    compared = streams.compare(student, oracle, [()] * len(rows))
    return Field(
        streams,
        np.clip(student, 0, 10),
        oracle,
        compared.differences,
        compared.tier_differs,
        np.array(compared.surfaced),
    )


def healthy(field: Field, _: np.random.Generator) -> tuple[Floats, Floats]:
    """As they are."""
    return field.differences, field.tier_differs


def grown(rise: float, dimension: str | None = None) -> Change:
    """Errors grow in proportion, until the mean absolute error is higher by `rise`."""

    def change(field: Field, _: np.random.Generator) -> tuple[Floats, Floats]:
        names = field.streams.dimensions
        columns = slice(None) if dimension is None else [names.index(dimension)]
        found = field.differences.copy()
        found[:, columns] *= 1 + rise / np.abs(found[:, columns]).mean()
        return found, field.tier_differs

    return change


def shifted(by: float) -> Change:
    """All of the student's scores move; the mean absolute error grows by less."""

    def change(field: Field, _: np.random.Generator) -> tuple[Floats, Floats]:
        return field.differences + by, field.tier_differs

    return change


def flipped(field: Field, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Of the articles scored too low on the whole, half are scored too high by as much."""
    found = np.repeat(field.differences, COPIES, axis=0)
    low = found.mean(axis=1) < 0
    turned = low & (rng.random(len(found)) < 0.5)
    found[turned] = np.abs(found[turned])
    return found, np.repeat(field.tier_differs, COPIES)


def improved(factor: float) -> Change:
    """Errors shrink in proportion."""

    def change(field: Field, _: np.random.Generator) -> tuple[Floats, Floats]:
        return field.differences * factor, field.tier_differs

    return change
