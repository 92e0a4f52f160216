"""What `evaluate` and `calibrate` found: the contents of metrics.json and calibration.json.

Errors are in score points, shares and agreements between 0 and 1, intervals 95 %. How the figures
are computed stands in `metrics`, `slices` and `calibrate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from pydantic import ConfigDict, Field

from newsieve.inference.manifest import CurvePoints, ResidualRows
from newsieve_training.pipeline.result_files import Interval, Part, ResultFile

STUDENT: Final = "student"
PUBLISHED: Final = "published"


class DimensionQuality(Part):
    """How good the scores of one dimension are."""

    mae: float
    mae_interval: Interval
    rmse: float
    bias: float
    spearman: float | None


class TierQuality(Part):
    """Where the student put the articles that the oracle put into one tier."""

    oracle: int = Field(description="Articles that the oracle put here.")
    student: int = Field(description="Articles that the student put here.")
    recall: float | None
    precision: float | None
    student_says: dict[str, int] = Field(description="The oracle's articles by student's tier.")


class Quality(Part):
    """How good one set of scores is. `surfaced` compares published tiers with all others;
    `tier_majority` and `surfaced_majority` are the agreement of a scorer that always names the
    commonest tier."""

    articles: int
    mae: float
    mae_interval: Interval
    rmse: float
    bias: float
    spearman: float | None
    spearman_interval: Interval | None
    dimensions: dict[str, DimensionQuality]
    tier_agreement: float
    tier_agreement_interval: Interval
    tier_kappa: float
    tier_kappa_interval: Interval
    tier_majority: float
    surfaced_agreement: float
    surfaced_agreement_interval: Interval
    surfaced_kappa: float
    surfaced_kappa_interval: Interval
    surfaced_majority: float
    tiers: dict[str, TierQuality]
    shuffled_mae: float = Field(description="The error with the texts shuffled against labels.")


class SliceQuality(Part):
    """How good the scores of the articles of one slice are."""

    articles: int
    mae: float
    standard_error: float
    bias: float
    tier_agreement: float


class WorstArticle(Part):
    """An article on which student and oracle differ most, with the dimension that differs most."""

    id: str
    title: str | None
    url: str | None
    mae: float
    dimension: str
    oracle: float
    student: float


class Metrics(Part, ResultFile):
    """The content of metrics.json: `quality` by split and scorer, `slices` by kind and name."""

    FILE: ClassVar = "metrics.json"

    judged_on: str
    quality: dict[str, dict[str, Quality]]
    slices: dict[str, dict[str, SliceQuality]]
    worst: list[WorstArticle]


class PairedDifference(Part):
    """A figure of a new student minus that of an old one, on the same articles."""

    difference: float
    interval: Interval


class CurveGain(Part):
    """The error that a dimension's calibration curve saves, and whether the curve is kept."""

    gain: float
    standard_error: float
    kept: bool


class ReliabilityBin(Part):
    """Articles whose tier_confidence lies in one interval, and how often their tiers agreed."""

    model_config = ConfigDict(validate_by_name=True)

    lower: float = Field(alias="from")
    upper: float = Field(alias="to")
    articles: int
    confidence: float
    agreement: float


class SureShare(Part):
    """The share of articles with at least this tier_confidence, and how often they agreed."""

    at_least: float
    share: float
    agreement: float


class Reliability(Part):
    """How well tier_confidence says how often a published tier agrees with the oracle's."""

    expected_calibration_error: float
    mean: float
    agreement: float
    bins: list[ReliabilityBin]
    sure: list[SureShare]


class CalibrationReport(Part, ResultFile):
    """The content of calibration.json: what was fitted, and how good published scores are.

    `scored` is the quality of the articles that a worker scores alone, None where it scores all.
    """

    FILE: ClassVar = "calibration.json"

    fitted_on: str
    articles: int
    dimensions: dict[str, CurveGain]
    calibration: dict[str, CurvePoints]
    residuals: ResidualRows | None
    judged_on: str
    quality: Quality
    scored: Quality | None
    confidence: Reliability | None


def scorers_of(metrics: Metrics, calibration: CalibrationReport) -> Mapping[str, Quality]:
    """Return the quality of each scorer on the judging articles, the published scores first."""
    return {PUBLISHED: calibration.quality, **metrics.quality[metrics.judged_on]}
