"""Fits calibration curves and residuals by cross-validation, on articles that no student saw.

A dimension keeps its curve only where that gains and costs no tier; residuals are those of curves
that did not see the article.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression

from newsieve.filters.calibration import Confidence, Curve, Residuals
from newsieve.filters.definition import SCORE_MAX, SCORE_MIN
from newsieve.filters.registry import Filter
from newsieve.filters.tiering import round_scores
from newsieve_training.evaluation.evaluate import Evaluated

Floats = npt.NDArray[np.float64]
Folds = npt.NDArray[np.intp]

FOLDS: Final = 5
BEYOND_CHANCE: Final = 2.0  # standard errors: by chance alone it happens once in forty times
CURVE_DECIMALS: Final = 3
RESIDUAL_DECIMALS: Final = 2  # labels are integers
MAX_RESIDUALS: Final = 600  # in student.json
NEIGHBOURS: Final = (25, 50, 100)  # twice as many cost the worker twice as much: 12 µs an article
LEAST_ARTICLES: Final = 60  # for residuals; fewer say nothing about a tier


@dataclass(frozen=True)
class Refined:
    """What was fitted, and for each article of the split that chose, its fold and its scores by
    curves that did not see it."""

    gains: Sequence[tuple[float, float]]
    kept: Sequence[bool]
    curves: Mapping[str, Curve]
    residuals: Residuals | None
    out_of_fold: Floats
    folds: Folds


def refine(filter_: Filter, chosen: Evaluated, seed: int) -> Refined:
    """Fit curves and residuals on articles that no student was trained on."""
    folds = np.random.default_rng(seed).permutation(len(chosen.rows)) % FOLDS
    crossed = _crossed(chosen, folds)
    gains = _gains(chosen, crossed)
    kept = _kept(filter_, chosen, crossed, gains)
    curves = {
        name: fit_curve(chosen.raw[:, column], chosen.oracle[:, column])
        for column, name in enumerate(filter_.definition.dimension_names)
        if kept[column]
    }
    scores = round_scores(np.where(kept, crossed, chosen.raw))
    residuals = _residuals(filter_, chosen, scores, folds)
    return Refined(gains, kept, curves, residuals, scores, folds)


def fit_curve(raw: Floats, oracle: Floats) -> Curve:
    """Fit one dimension's labels to its raw scores by isotonic regression (Barlow et al. 1972)."""
    model = IsotonicRegression(y_min=SCORE_MIN, y_max=SCORE_MAX).fit(raw, oracle)
    points = model.X_thresholds_.round(CURVE_DECIMALS)
    values = np.maximum.accumulate(model.y_thresholds_.round(CURVE_DECIMALS))
    points, first = np.unique(points, return_index=True)
    return Curve(points.tolist(), values[first].tolist())


def _crossed(chosen: Evaluated, folds: Folds) -> Floats:
    """Return (N, D) scores, each calibrated by curves that did not see its article."""
    scores = np.empty_like(chosen.raw)
    for fold in range(FOLDS):
        inside = folds == fold
        for column in range(scores.shape[1]):
            raw, oracle = chosen.raw[:, column], chosen.oracle[:, column]
            curve = fit_curve(raw[~inside], oracle[~inside])
            scores[inside, column] = np.interp(raw[inside], curve.raw, curve.calibrated)
    return scores


def _gains(chosen: Evaluated, crossed: Floats) -> list[tuple[float, float]]:
    """Return the error that each dimension's curve saves, and the standard error of that."""
    gain = np.abs(chosen.student - chosen.oracle) - np.abs(round_scores(crossed) - chosen.oracle)
    errors = gain.std(axis=0, ddof=1) / len(gain) ** 0.5
    return list(zip(gain.mean(axis=0).tolist(), errors.tolist(), strict=True))


def _kept(
    filter_: Filter, chosen: Evaluated, crossed: Floats, gains: Sequence[tuple[float, float]]
) -> list[bool]:
    """Say of each dimension whether its curve is kept.

    Curves that gain beyond chance are, but for those that gain least while, together, they cost
    agreement of tiers beyond chance: tiers are what is published.
    """

    def hits(which: Sequence[bool]) -> Floats:
        scores = round_scores(np.where(which, crossed, chosen.raw))
        tiers = filter_.tiering.decide(scores, chosen.rules).tier
        return hits_of(filter_, chosen, tiers).astype(np.float64)

    kept = [gain > BEYOND_CHANCE * error for gain, error in gains]
    without = hits([False] * len(gains))
    while any(kept):
        lost = without - hits(kept)
        if lost.mean() <= BEYOND_CHANCE * lost.std(ddof=1) / len(lost) ** 0.5:
            break
        kept[min(np.flatnonzero(kept).tolist(), key=lambda column: gains[column][0])] = False
    return kept


def _residuals(
    filter_: Filter, chosen: Evaluated, scores: Floats, folds: Folds
) -> Residuals | None:
    """Return residuals with the number of neighbours that predicts other folds best; None for few
    rows."""
    if len(scores) < LEAST_ARTICLES:
        return None
    losses = {
        neighbours: _log_loss(filter_, chosen, scores, folds, neighbours)
        for neighbours in NEIGHBOURS
        if neighbours <= len(scores) // 2
    }
    best = min(losses, key=lambda neighbours: losses[neighbours])
    return _residuals_of(filter_, scores, chosen.oracle, best)


def _residuals_of(filter_: Filter, scores: Floats, oracle: Floats, neighbours: int) -> Residuals:
    averages = filter_.tiering.average(scores)
    order = np.argsort(averages, kind="stable")
    if len(order) > MAX_RESIDUALS:
        order = order[np.linspace(0, len(order) - 1, MAX_RESIDUALS).astype(int)]
    errors = (oracle - scores)[order].round(RESIDUAL_DECIMALS)
    return Residuals(averages[order].round(CURVE_DECIMALS), errors, min(neighbours, len(order)))


def _log_loss(
    filter_: Filter, chosen: Evaluated, scores: Floats, folds: Folds, neighbours: int
) -> float:
    confidences = np.array(crossed_confidences(filter_, chosen, scores, folds, neighbours))
    hits = hits_of(filter_, chosen, filter_.tiering.decide(scores, chosen.rules).tier)
    likelihood = np.where(hits, confidences, 1 - confidences)
    return float(-np.log(np.clip(likelihood, 0.005, None)).mean())  # half of the last decimal


def crossed_confidences(
    filter_: Filter, chosen: Evaluated, scores: Floats, folds: Folds, neighbours: int
) -> list[float]:
    """Return the confidence of each article's tier, by the residuals of the other folds."""
    tiers = filter_.tiering.decide(scores, chosen.rules).tier
    confidences = np.zeros(len(scores))
    for fold in range(FOLDS):
        inside: list[int] = np.flatnonzero(folds == fold).tolist()
        others = folds != fold
        known = _residuals_of(filter_, scores[others], chosen.oracle[others], neighbours)
        rules, own = [chosen.rules[row] for row in inside], [tiers[row] for row in inside]
        confidences[inside] = Confidence(filter_.tiering, known).of(scores[inside], rules, own)
    values: list[float] = confidences.tolist()
    return values


def hits_of(filter_: Filter, subject: Evaluated, tiers: Sequence[str]) -> npt.NDArray[np.bool_]:
    theirs = filter_.tiering.decide(subject.oracle, subject.rules).tier
    return np.array([a == b for a, b in zip(tiers, theirs, strict=True)])
