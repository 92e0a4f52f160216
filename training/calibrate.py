"""calibrate: curves that bring raw scores to the oracle's scale, and how wrong the student can be.

Both are fitted on the split that may choose, by cross-validation: a dimension keeps its curve only
where that gains, and residuals are those of curves that did not see the article. The split that
judges only judges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression

from training.evaluate import Judged, chosen_split, judged, judged_split
from training.files import Row, write_json, write_jsonl
from training.metrics import DECIMALS, calibration_error, quality
from training.run import Run
from training.stage import Workplace, perform
from training.stages import CALIBRATE
from worker.rules.catalogue import Filter, load
from worker.rules.definition import SCORE_MAX, SCORE_MIN
from worker.rules.refinement import Calibration, Confidence, Curve, Residuals
from worker.rules.tiers import round_scores

Floats = npt.NDArray[np.float64]
Folds = npt.NDArray[np.intp]

FOLDS: Final = 5
GAIN_STANDARD_ERRORS: Final = 1.0  # by which a curve must gain, or chance would keep half of them
CURVE_DECIMALS: Final = 3
RESIDUAL_DECIMALS: Final = 2  # labels are integers
MAX_RESIDUALS: Final = 600  # in student.json
NEIGHBOURS: Final = (25, 50, 100)  # twice as many cost the worker twice as much: 12 µs an article
LEAST_ARTICLES: Final = 60  # for residuals; fewer say nothing about a tier
RELIABILITY_BINS: Final = 10
SURE: Final = (0.8, 0.9)


def calibrate(run: Run) -> bool:
    """Returns False when that was done already."""
    return perform(run, CALIBRATE, lambda place: _make(run, place))


@dataclass(frozen=True)
class Refined:
    """What was fitted, and how each article of the split that chose stands without its own help:
    its scores by curves that did not see it, and its fold."""

    gains: Sequence[tuple[float, float]]
    kept: Sequence[bool]
    curves: Mapping[str, Curve]
    residuals: Residuals | None
    out_of_fold: Floats
    folds: Folds


@dataclass(frozen=True)
class Published:
    """Articles with calibrated scores, as they are published, and their tiers' probabilities."""

    scores: Floats
    tiers: Sequence[str]
    confidences: Sequence[float] | None


def _make(run: Run, place: Workplace) -> Mapping[str, Any]:
    filter_, seed = load(run.recipe.filter), run.recipe.split.seed
    subject = chosen = judged(run, chosen_split(run), filter_)
    found = refine(filter_, chosen, seed)
    if judged_split(run) == chosen_split(run):
        published = _published_out_of_fold(filter_, chosen, found)
    else:
        subject = judged(run, judged_split(run), filter_)
        published = publish(filter_, subject, found)
    names = filter_.definition.dimension_names
    facts = {
        "fitted_on": chosen_split(run),
        "articles": len(chosen.rows),
        "dimensions": {
            name: {
                "gain": round(gain, DECIMALS),
                "standard_error": round(e, DECIMALS),
                "kept": kept,
            }
            for name, (gain, e), kept in zip(names, found.gains, found.kept, strict=True)
        },
        "calibration": {
            name: {"raw": curve.raw, "calibrated": curve.calibrated}
            for name, curve in found.curves.items()
        },
        "residuals": _facts_of(found.residuals),
        "judged_on": judged_split(run),
        "quality": quality(filter_, published.scores, subject.oracle, subject.rules, seed),
        "confidence": _reliability(filter_, subject, published),
    }
    write_json(place.out / "calibration.json", facts)
    write_jsonl(place.out / "predictions" / "published.jsonl", _rows(filter_, subject, published))
    return {}


def refine(filter_: Filter, chosen: Judged, seed: int) -> Refined:
    """Fit curves and residuals on articles that no student was trained on."""
    folds = np.random.default_rng(seed).permutation(len(chosen.rows)) % FOLDS
    crossed = _crossed(chosen, folds)
    gains = _gains(chosen, crossed)
    kept = [mean > GAIN_STANDARD_ERRORS * error for mean, error in gains]
    curves = {
        name: fit_curve(chosen.raw[:, at], chosen.oracle[:, at])
        for at, name in enumerate(filter_.definition.dimension_names)
        if kept[at]
    }
    scores = round_scores(np.where(kept, crossed, chosen.raw))
    residuals = _residuals(filter_, chosen, scores, folds)
    return Refined(gains, kept, curves, residuals, scores, folds)


def fit_curve(raw: Floats, oracle: Floats) -> Curve:
    """Isotonic regression (Barlow et al. 1972) of one dimension's labels on its raw scores."""
    model = IsotonicRegression(y_min=SCORE_MIN, y_max=SCORE_MAX).fit(raw, oracle)
    points = model.X_thresholds_.round(CURVE_DECIMALS)
    values = np.maximum.accumulate(model.y_thresholds_.round(CURVE_DECIMALS))
    points, first = np.unique(points, return_index=True)
    return Curve(points.tolist(), values[first].tolist())


def publish(filter_: Filter, subject: Judged, found: Refined) -> Published:
    """Other articles' scores and probabilities, as the worker gives them."""
    calibration = Calibration(filter_.definition.dimension_names, found.curves)
    scores = round_scores(calibration.apply(subject.raw))
    tiers = filter_.tiering.decide(scores, subject.rules).tier
    if found.residuals is None:
        return Published(scores, tiers, None)
    confidences = Confidence(filter_.tiering, found.residuals).of(scores, subject.rules, tiers)
    return Published(scores, tiers, confidences)


def _crossed(chosen: Judged, folds: Folds) -> Floats:
    """(N, D) scores, each calibrated by curves that did not see its article."""
    found = np.empty_like(chosen.raw)
    for fold in range(FOLDS):
        inside = folds == fold
        for at in range(found.shape[1]):
            curve = fit_curve(chosen.raw[~inside, at], chosen.oracle[~inside, at])
            found[inside, at] = np.interp(chosen.raw[inside, at], curve.raw, curve.calibrated)
    return found


def _gains(chosen: Judged, crossed: Floats) -> list[tuple[float, float]]:
    """For each dimension the mean absolute error that its curve saves, and its standard error."""
    gain = np.abs(chosen.student - chosen.oracle) - np.abs(round_scores(crossed) - chosen.oracle)
    errors = gain.std(axis=0, ddof=1) / len(gain) ** 0.5
    return list(zip(gain.mean(axis=0).tolist(), errors.tolist(), strict=True))


def _residuals(filter_: Filter, chosen: Judged, scores: Floats, folds: Folds) -> Residuals | None:
    """With as many neighbours as say best how the other folds' tiers agree; None for few rows."""
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
    filter_: Filter, chosen: Judged, scores: Floats, folds: Folds, neighbours: int
) -> float:
    confidences = np.array(_crossed_confidences(filter_, chosen, scores, folds, neighbours))
    hits = _hits(filter_, chosen, filter_.tiering.decide(scores, chosen.rules).tier)
    likelihood = np.where(hits, confidences, 1 - confidences)
    return float(-np.log(np.clip(likelihood, 0.005, None)).mean())  # half of the last decimal


def _crossed_confidences(
    filter_: Filter, chosen: Judged, scores: Floats, folds: Folds, neighbours: int
) -> list[float]:
    """Each article's by the residuals of the other folds."""
    tiers = filter_.tiering.decide(scores, chosen.rules).tier
    found = np.zeros(len(scores))
    for fold in range(FOLDS):
        inside: list[int] = np.flatnonzero(folds == fold).tolist()
        others = folds != fold
        known = _residuals_of(filter_, scores[others], chosen.oracle[others], neighbours)
        rules, own = [chosen.rules[at] for at in inside], [tiers[at] for at in inside]
        found[inside] = Confidence(filter_.tiering, known).of(scores[inside], rules, own)
    values: list[float] = found.tolist()
    return values


def _published_out_of_fold(filter_: Filter, chosen: Judged, found: Refined) -> Published:
    scores = found.out_of_fold
    tiers = filter_.tiering.decide(scores, chosen.rules).tier
    if found.residuals is None:
        return Published(scores, tiers, None)
    neighbours = found.residuals.neighbours
    confidences = _crossed_confidences(filter_, chosen, scores, found.folds, neighbours)
    return Published(scores, tiers, confidences)


def _hits(filter_: Filter, subject: Judged, tiers: Sequence[str]) -> npt.NDArray[np.bool_]:
    theirs = filter_.tiering.decide(subject.oracle, subject.rules).tier
    return np.array([a == b for a, b in zip(tiers, theirs, strict=True)])


def _reliability(filter_: Filter, subject: Judged, published: Published) -> dict[str, Any] | None:
    if published.confidences is None:
        return None
    confidences = np.array(published.confidences)
    hits = _hits(filter_, subject, published.tiers)
    error, bins = calibration_error(confidences, hits, RELIABILITY_BINS)
    return {
        "expected_calibration_error": error,
        "mean": round(float(confidences.mean()), DECIMALS),
        "agreement": round(float(hits.mean()), DECIMALS),
        "bins": bins,
        "sure": [
            {
                "at_least": limit,
                "share": round(float((confidences >= limit).mean()), DECIMALS),
                "agreement": round(float(hits[confidences >= limit].mean()), DECIMALS),
            }
            for limit in SURE
            if (confidences >= limit).any()
        ],
    }


def _facts_of(residuals: Residuals | None) -> dict[str, Any] | None:
    if residuals is None:
        return None
    return {
        "neighbours": residuals.neighbours,
        "averages": residuals.averages.tolist(),
        "errors": residuals.errors.tolist(),
    }


def _rows(filter_: Filter, subject: Judged, published: Published) -> Iterator[Row]:
    names = filter_.definition.dimension_names
    confidences: Sequence[float | None] = published.confidences or [None] * len(published.tiers)
    columns = zip(
        subject.rows, published.scores.tolist(), published.tiers, confidences, strict=True
    )
    for row, scores, tier, confidence in columns:
        yield {
            "id": row["id"],
            "content_rules": row["content_rules"],
            "oracle": row["scores"],
            "student": dict(zip(names, scores, strict=True)),
            "tier": tier,
            "tier_confidence": confidence,
        }
