"""Applies what a student knows of its own errors: calibration, and the confidence of tiers. Pure.

Training fits both on articles that the student was not trained on. Here raw scores are calibrated,
by a curve for each dimension that has one, and the tier that follows from them gets its
probability.

A residual is oracle minus student, all dimensions of an article at once. Added to an article's
scores, each gives a set of scores that the oracle might have given; the share of them that lead to
the same tier is the tier's probability. An error depends on how high an article scores, so only
the residuals of the articles with the nearest averages are taken.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from newsieve.filters.definition import SCORE_MAX, SCORE_MIN
from newsieve.filters.tiering import Tiering

Floats = npt.NDArray[np.float64]

CONFIDENCE_DECIMALS: Final = 2


@dataclass(frozen=True)
class Curve:
    """A piecewise linear map of raw scores, level beyond its ends: `raw` rises, `calibrated` never
    falls."""

    raw: Sequence[float]
    calibrated: Sequence[float]


class Calibration:
    """The curves of one student, by dimension."""

    def __init__(self, dimensions: Sequence[str], curves: Mapping[str, Curve]) -> None:
        self._columns = [
            (column, np.array(curves[name].raw), np.array(curves[name].calibrated))
            for column, name in enumerate(dimensions)
            if name in curves
        ]

    def apply(self, raw: Floats) -> Floats:
        """Return (N, D) calibrated scores. A dimension without a curve stays as it is."""
        if not self._columns:
            return raw
        calibrated = raw.copy()
        for column, points, values in self._columns:
            calibrated[:, column] = np.interp(raw[:, column], points, values)
        return calibrated


@dataclass(frozen=True)
class Residuals:
    """The residuals of M articles in the order of the student's weighted averages: (M,) averages,
    which rise, and (M, D) errors.

    `neighbours` of them, at most M, are taken for each article.
    """

    averages: Floats
    errors: Floats
    neighbours: int


class Confidence:
    """The probabilities of one filter's tiers by one student's residuals."""

    def __init__(self, tiering: Tiering, residuals: Residuals) -> None:
        self._tiering = tiering
        self._residuals = residuals
        self._numbers = {name: number for number, name in enumerate(tiering.tier_names)}

    def of(
        self, scores: Floats, rules_met: Sequence[Collection[str]], tiers: Sequence[str]
    ) -> list[float]:
        """Return for each of N articles the probability of its tier, as published.

        One success and one failure are added to what was counted (Laplace's rule), because a
        hundred residuals cannot show that the hundred-and-first tier is certain.
        """
        nearest = self._nearest(self._tiering.average(scores))
        count, neighbours, dimensions = nearest.shape
        possible = scores[:, None, :] + nearest
        np.clip(possible, SCORE_MIN, SCORE_MAX, out=possible)
        rules = {
            name: np.repeat(met, neighbours) for name, met in self._tiering.rules(rules_met).items()
        }
        numbers = self._tiering.tier_numbers(possible.reshape(-1, dimensions), rules)
        ours = np.fromiter((self._numbers[tier] for tier in tiers), np.intp, count)
        hits = (numbers.reshape(count, neighbours) == ours[:, None]).sum(axis=1)
        shares: Floats = (hits + 1) / (neighbours + 2)
        probabilities: list[float] = shares.round(CONFIDENCE_DECIMALS).tolist()
        return probabilities

    def _nearest(self, averages: Floats) -> Floats:
        """Return (N, neighbours, D) residuals, of the articles with the nearest averages."""
        known, neighbours = self._residuals.averages, self._residuals.neighbours
        middle = np.searchsorted(known, averages)
        first = np.clip(middle - neighbours // 2, 0, len(known) - neighbours)
        nearest: Floats = self._residuals.errors[first[:, None] + np.arange(neighbours)]
        return nearest


@dataclass(frozen=True)
class ScoreCalibration:
    """The calibration and the confidence of one student. A student that has neither publishes raw
    scores and no confidence."""

    calibration: Calibration | None = None
    confidence: Confidence | None = None

    def scores(self, raw: Floats) -> Floats:
        """Return (N, D) scores, calibrated where there is a calibration."""
        return raw if self.calibration is None else self.calibration.apply(raw)

    def confidences(
        self, scores: Floats, rules_met: Sequence[Collection[str]], tiers: Sequence[str]
    ) -> Sequence[float | None]:
        """Return for each of N articles the probability of its tier, or None without residuals."""
        if self.confidence is None:
            return [None] * len(tiers)
        return self.confidence.of(scores, rules_met, tiers)


NO_CALIBRATION: Final = ScoreCalibration()
