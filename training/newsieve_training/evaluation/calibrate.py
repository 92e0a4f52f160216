"""calibrate: fits curves from raw scores to the oracle's scale, and how wrong the student can be.

Both are fitted on the split that may choose. A split that judges only judges. Where the whole run
is cross-validated the same articles do both: no curve or residual is of the article that it judges,
but which curves are kept is by all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from newsieve.filters.calibration import Calibration, Confidence, Residuals
from newsieve.filters.registry import Filter
from newsieve.filters.tiering import round_scores
from newsieve.inference.manifest import CurvePoints, ResidualRows
from newsieve_training.data.label_aggregation import is_scored
from newsieve_training.evaluation.calibration_fit import (
    Floats,
    Refined,
    crossed_confidences,
    hits_of,
    refine,
)
from newsieve_training.evaluation.evaluate import Evaluated, evaluated, selection_split, test_split
from newsieve_training.evaluation.metrics import DECIMALS, calibration_error, quality
from newsieve_training.evaluation.results import (
    CalibrationReport,
    CurveGain,
    Quality,
    Reliability,
    SureShare,
)
from newsieve_training.pipeline.files import Row, write_jsonl
from newsieve_training.pipeline.graph import CALIBRATE
from newsieve_training.pipeline.run_folder import Run
from newsieve_training.pipeline.stage import StageWorkspace, run_stage

RELIABILITY_BINS: Final = 10
SURE: Final = (0.8, 0.9)


def calibrate(run: Run) -> bool:
    """Fit curves and residuals of the run's student. Returns False when that was done already."""
    return run_stage(run, CALIBRATE, lambda workspace: _write(run, workspace))


@dataclass(frozen=True)
class Published:
    """The scores of articles as they are published, their tiers, and the tiers' probabilities."""

    scores: Floats
    tiers: Sequence[str]
    confidences: Sequence[float] | None


def _write(run: Run, workspace: StageWorkspace) -> Mapping[str, Any]:
    filter_, seed = run.filter, run.recipe.split.seed
    subject = chosen = evaluated(run, selection_split(run), filter_)
    fitted = refine(filter_, chosen, seed)
    if test_split(run) == selection_split(run):
        published = _published_out_of_fold(filter_, chosen, fitted)
    else:
        subject = evaluated(run, test_split(run), filter_)
        published = publish(filter_, subject, fitted)
    names = filter_.definition.dimension_names
    CalibrationReport(
        fitted_on=selection_split(run),
        articles=len(chosen.rows),
        dimensions={
            name: CurveGain(
                gain=round(gain, DECIMALS), standard_error=round(error, DECIMALS), kept=kept
            )
            for name, (gain, error), kept in zip(names, fitted.gains, fitted.kept, strict=True)
        },
        calibration={
            name: CurvePoints(raw=list(curve.raw), calibrated=list(curve.calibrated))
            for name, curve in fitted.curves.items()
        },
        residuals=_residual_rows(fitted.residuals),
        judged_on=test_split(run),
        quality=quality(filter_, published.scores, subject.oracle, subject.rules, seed),
        scored=_scored_alone(filter_, subject, published, seed),
        confidence=_reliability(filter_, subject, published),
    ).write(workspace.out)
    write_jsonl(
        workspace.out / "predictions" / "published.jsonl", _rows(filter_, subject, published)
    )
    return {}


def publish(filter_: Filter, subject: Evaluated, fitted: Refined) -> Published:
    """Return scores and probabilities of articles that fitted nothing, as the worker does."""
    calibration = Calibration(filter_.definition.dimension_names, fitted.curves)
    scores = round_scores(calibration.apply(subject.raw))
    tiers = filter_.tiering.decide(scores, subject.rules).tier
    if fitted.residuals is None:
        return Published(scores, tiers, None)
    confidences = Confidence(filter_.tiering, fitted.residuals).of(scores, subject.rules, tiers)
    return Published(scores, tiers, confidences)


def _published_out_of_fold(filter_: Filter, chosen: Evaluated, fitted: Refined) -> Published:
    scores = fitted.out_of_fold
    tiers = filter_.tiering.decide(scores, chosen.rules).tier
    if fitted.residuals is None:
        return Published(scores, tiers, None)
    neighbours = fitted.residuals.neighbours
    confidences = crossed_confidences(filter_, chosen, scores, fitted.folds, neighbours)
    return Published(scores, tiers, confidences)


def _reliability(filter_: Filter, subject: Evaluated, published: Published) -> Reliability | None:
    if published.confidences is None:
        return None
    confidences = np.array(published.confidences)
    hits = hits_of(filter_, subject, published.tiers)
    error, bins = calibration_error(confidences, hits, RELIABILITY_BINS)
    return Reliability(
        expected_calibration_error=error,
        mean=round(float(confidences.mean()), DECIMALS),
        agreement=round(float(hits.mean()), DECIMALS),
        bins=bins,
        sure=[
            SureShare(
                at_least=limit,
                share=round(float((confidences >= limit).mean()), DECIMALS),
                agreement=round(float(hits[confidences >= limit].mean()), DECIMALS),
            )
            for limit in SURE
            if (confidences >= limit).any()
        ],
    )


def _scored_alone(
    filter_: Filter, subject: Evaluated, published: Published, seed: int
) -> Quality | None:
    """Return the quality of the articles that a worker scores; None for all of them, or none."""
    scored = [index for index, rules in enumerate(subject.rules) if is_scored(rules, filter_)]
    if len(scored) in (0, len(subject.rules)):
        return None
    rules = [subject.rules[index] for index in scored]
    return quality(filter_, published.scores[scored], subject.oracle[scored], rules, seed)


def _residual_rows(residuals: Residuals | None) -> ResidualRows | None:
    if residuals is None:
        return None
    return ResidualRows(
        neighbours=residuals.neighbours,
        averages=residuals.averages.tolist(),
        errors=residuals.errors.tolist(),
    )


def _rows(filter_: Filter, subject: Evaluated, published: Published) -> Iterator[Row]:
    names = filter_.definition.dimension_names
    confidences: Sequence[float | None] = published.confidences or [None] * len(published.tiers)
    columns = zip(
        subject.rows, published.scores.tolist(), published.tiers, confidences, strict=True
    )
    for row, scores, tier, confidence in columns:
        yield {
            "id": row["id"],
            "content_rules": row["content_rules"],
            "suspect": row.get("suspect", []),  # runs of earlier versions do not say
            "oracle": row["scores"],
            "student": dict(zip(names, scores, strict=True)),
            "tier": tier,
            "tier_confidence": confidence,
        }
