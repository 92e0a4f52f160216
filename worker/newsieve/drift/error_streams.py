"""The streams of a labelled article: what a detector watches, 3D + 5 numbers for D dimensions.

    mae, abs:<dimension> …       absolute errors; what a worse student raises
    bias+, bias-, b+:…, b-:…     signed errors, clipped, once each way: a shift that cancels out
    wabs                         error of the weighted average, before gates and caps
    tier                         1 when student and oracle decide different tiers

Student scores are clamped first. Sums run dimension by dimension, so that a label's streams do
not depend on its batch. Knows nothing of baselines and bets.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from newsieve.filters.definition import SCORE_MAX, SCORE_MIN
from newsieve.filters.registry import Filter
from newsieve.filters.tiering import round_scores

Floats = npt.NDArray[np.float64]

MAE: Final = "mae"
TIER: Final = "tier"
BIAS_CLIP: Final = 4.0  # score points; beyond it an error says nothing more about a bias
# Shares of the evidence. The dimensions share theirs equally, both directions of a bias too.
MAE_WEIGHT: Final = 0.30
DIMENSIONS_WEIGHT: Final = 0.30
BIAS_WEIGHT: Final = 0.15
DIMENSION_BIASES_WEIGHT: Final = 0.10
AVERAGE_WEIGHT: Final = 0.075
TIER_WEIGHT: Final = 0.075


class Compared(NamedTuple):
    """Student and oracle of N articles side by side."""

    values: Floats  # (N, S), the streams
    differences: Floats  # (N, D), student minus oracle
    surfaced: list[bool]  # whether the student's tier is published


class ErrorStreams:
    """One filter's streams: names, bounds, weights, and how to compute them."""

    def __init__(self, filter_: Filter) -> None:
        definition = filter_.definition
        dimensions = definition.dimension_names
        count = len(dimensions)
        self.dimensions = dimensions
        self.names: tuple[str, ...] = (
            MAE,
            *(f"abs:{name}" for name in dimensions),
            "bias+",
            "bias-",
            *(f"b+:{name}" for name in dimensions),
            *(f"b-:{name}" for name in dimensions),
            "wabs",
            TIER,
        )
        signed = 2 + 2 * count
        span = SCORE_MAX - SCORE_MIN
        self.lowest: Floats = np.array([0.0] * (1 + count) + [-BIAS_CLIP] * signed + [0.0, 0.0])
        self.highest: Floats = np.array([span] * (1 + count) + [BIAS_CLIP] * signed + [span, 1.0])
        self.is_signed: npt.NDArray[np.bool_] = self.lowest < 0
        self.weights: Floats = np.array(
            [MAE_WEIGHT]
            + [DIMENSIONS_WEIGHT / count] * count
            + [BIAS_WEIGHT / 2] * 2
            + [DIMENSION_BIASES_WEIGHT / (2 * count)] * (2 * count)
            + [AVERAGE_WEIGHT, TIER_WEIGHT]
        )
        self._dimension_weights = [item.weight for item in definition.dimensions]
        self._tiering = filter_.tiering
        self._published = frozenset(definition.published_tiers)

    def compare(
        self, student: Floats, oracle: Floats, rules_met: Sequence[Collection[str]]
    ) -> Compared:
        """Streams of N articles. `student` and `oracle` are (N, D) in dimension order."""
        clamped = np.clip(student, SCORE_MIN, SCORE_MAX)
        said = self._tiering.decide(round_scores(clamped), rules_met).tier
        wanted = self._tiering.decide(round_scores(oracle), rules_met).tier
        differs = np.array([a != b for a, b in zip(said, wanted, strict=True)], dtype=np.float64)
        differences = clamped - oracle
        surfaced = [tier in self._published for tier in said]
        return Compared(self.values(differences, differs), differences, surfaced)

    def values(self, differences: Floats, tier_differs: Floats) -> Floats:
        """(N, S) from (N, D) differences, student minus oracle, and (N,) of 0 and 1."""
        by_dimension = list(differences.T)
        count = len(by_dimension)
        absolute = [np.abs(column) for column in by_dimension]
        mean = np.clip(_total(by_dimension) / count, -BIAS_CLIP, BIAS_CLIP)
        biases = [np.clip(column, -BIAS_CLIP, BIAS_CLIP) for column in by_dimension]
        weighted = _total(
            [w * column for w, column in zip(self._dimension_weights, by_dimension, strict=True)]
        )
        columns = [
            _total(absolute) / count,
            *absolute,
            mean,
            -mean,
            *biases,
            *(-bias for bias in biases),
            np.abs(weighted),
            tier_differs,
        ]
        found: Floats = np.stack(columns, axis=1)
        return found


def _total(columns: Sequence[Floats]) -> Floats:
    total = np.zeros(len(columns[0]))
    for column in columns:
        total += column
    return total
