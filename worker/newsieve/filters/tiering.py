"""Decides an article's tier from its scores: average, gates, caps, tiers. Vectorised over articles.

Scores come in clamped and rounded to 4 decimals (`round_scores`), and everything is decided
from those, so that a record alone reproduces its decision. Sums run dimension by dimension, so
an article's average does not depend on its batch. Knows nothing of where scores come from.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from newsieve.filters.conditions import AVERAGE_TOLERANCE, Condition, Mask, Values
from newsieve.filters.definition import SCORE_MAX, SCORE_MIN, FilterDefinition

SCORE_DECIMALS: Final = 4
# Weights have at most 3 decimals and scores 4, so this loses nothing but binary noise.
AVERAGE_DECIMALS: Final = 9

Floats = npt.NDArray[np.float64]
Limits = dict[str, tuple[Mask, float]]
NO_NAMES: Final[tuple[str, ...]] = ()


def round_scores(raw: Floats) -> Floats:
    """Clamp to the scale and round once. Not-finite values stay what they are."""
    clamped: Floats = np.clip(raw, SCORE_MIN, SCORE_MAX)
    return clamped.round(SCORE_DECIMALS)


@dataclass(frozen=True, slots=True)
class Decisions:
    """The decisions about N articles: one entry for each in each list. Averages have
    AVERAGE_DECIMALS decimals."""

    weighted_average: list[float]
    score: list[float]
    gates: list[tuple[str, ...]]
    caps: list[tuple[str, ...]]
    tier: list[str]


class Tiering:
    """Decides for one filter, whose definition is compiled once."""

    def __init__(self, definition: FilterDefinition) -> None:
        self._names = definition.dimension_names
        self._weights = [dimension.weight for dimension in definition.dimensions]
        self._integer = definition.threshold_scale == "integer"
        self._gates = definition.gates
        self._caps = definition.caps
        self._tiers = definition.tiers
        self.tier_names = tuple(dict.fromkeys(tier.name for tier in definition.tiers))
        self._numbers = np.array([self.tier_names.index(tier.name) for tier in definition.tiers])
        self._tier_conditions = [tier.when for tier in definition.tiers if tier.when is not None]

    def decide(self, scores: Floats, rules_met: Sequence[Collection[str]]) -> Decisions:
        """Decide N articles.

        `scores` is (N, D), as `round_scores` returns it; `rules_met` names the content rules
        that each article met.
        """
        average = self.average(scores)
        gates, caps, score, tier_index = self._limited(scores, average, self.rules(rules_met))
        zero = np.array([tier.zero for tier in self._tiers])[tier_index]
        return Decisions(
            weighted_average=_published(np.where(zero, 0.0, average)),
            score=_published(np.where(zero, 0.0, score)),
            gates=_names_of_limits(gates, average),
            caps=_names_of_limits(caps, average),
            tier=[self._tiers[index].name for index in tier_index.tolist()],
        )

    def tier_numbers(self, scores: Floats, rules: Mapping[str, Mask]) -> npt.NDArray[np.intp]:
        """Return the index in `tier_names` of each of N articles' tiers, at a lower cost than
        `decide`."""
        *_, tier_index = self._limited(scores, self.average(scores), rules)
        return self._numbers[tier_index]

    def rules(self, rules_met: Sequence[Collection[str]]) -> dict[str, Mask]:
        """Return, for each rule that a cap names, which of N articles met it."""
        return {
            cap.rule: np.fromiter(
                (cap.rule in names for names in rules_met), np.bool_, len(rules_met)
            )
            for cap in self._caps
        }

    def average(self, scores: Floats) -> Floats:
        """Return (N,) weighted averages of (N, D) scores, before gates and caps."""
        average = np.zeros(len(scores))
        for column, weight in enumerate(self._weights):
            average += weight * scores[:, column]
        return average

    def _limited(
        self, scores: Floats, average: Floats, rules: Mapping[str, Mask]
    ) -> tuple[Limits, Limits, Floats, npt.NDArray[np.intp]]:
        """Return gates and caps with the articles for which they hold, the score under them, and
        the index of the first tier whose condition holds."""
        values = self._values(scores, average)
        gates = {gate.name: (gate.when.holds(values), gate.limit) for gate in self._gates}
        caps = {
            cap.rule: (self._cap_holds(rules[cap.rule], cap.when, values), cap.limit)
            for cap in self._caps
        }
        score = average.copy()
        for holds, limit in (*gates.values(), *caps.values()):
            np.minimum(score, limit, out=score, where=holds)
        return gates, caps, score, self._tier_index({**values, "score": score})

    def _values(self, scores: Floats, average: Floats) -> dict[str, Floats]:
        compared = np.floor(scores + 0.5) if self._integer else scores
        values = {name: compared[:, column] for column, name in enumerate(self._names)}
        values["average"] = average
        return values

    @staticmethod
    def _cap_holds(met: Mask, when: Condition | None, values: Values) -> Mask:
        return met & when.holds(values) if when is not None and met.any() else met

    def _tier_index(self, values: Values) -> npt.NDArray[np.intp]:
        index = np.full(len(values["average"]), len(self._tiers) - 1, dtype=np.intp)
        for position in reversed(range(len(self._tier_conditions))):  # so that the first wins
            index[self._tier_conditions[position].holds(values)] = position
        return index


def _published(averages: Floats) -> list[float]:
    values: list[float] = np.round(averages, AVERAGE_DECIMALS).tolist()
    return values


def _names_of_limits(limits: Limits, average: Floats) -> list[tuple[str, ...]]:
    """Return for each article the names that hold and whose own limit is below its average."""
    named = [NO_NAMES] * len(average)
    for name, (holds, limit) in limits.items():
        for row in np.flatnonzero(holds & (limit < average - AVERAGE_TOLERANCE)).tolist():
            named[row] = (*named[row], name)
    return named
