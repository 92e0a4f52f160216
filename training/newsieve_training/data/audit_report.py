"""What `audit` found about the labels: the content of audit.json.

Shares are between 0 and 1, differences and deviations in score points. How the figures are computed
stands in `audit`.
"""

from __future__ import annotations

from typing import ClassVar, Final

from newsieve_training.pipeline.result_files import Part, ResultFile

USABLE: Final = "usable"
WITH_RESERVATIONS: Final = "usable with reservations"
NOT_USABLE: Final = "not usable"
EXPLAINED: Final = 0.9  # of the variance: by as many components as there really are dimensions


class DimensionSpread(Part):
    """How the labels of one dimension are spread; `histogram` counts each integer score."""

    mean: float
    standard_deviation: float
    histogram: list[int]
    bins_populated: float
    empty_bins: list[int]


class LabelTimes(Part):
    """When the first and the last label were made. `days_apart` is None where one is no date."""

    first: str
    last: str
    days_apart: int | None


class Disagreement(Part):
    """How far two labels of one article are apart. There are no figures for few pairs."""

    pairs: int
    mean_difference: float | None
    standard_error: float | None
    dimensions: dict[str, float] | None = None


class SelfDisagreement(Part):
    """How far an oracle is from itself, and the error below which no student of it can get."""

    share_of_articles: float
    pairs: int
    mean_difference: float | None
    standard_error: float | None
    dimensions: dict[str, float] | None = None
    noise_floor: float | None
    noise_floor_if_normal: float | None


class Outlier(Part):
    """An article whose combination of scores is odd, by Mahalanobis' distance."""

    id: str
    url: str | None
    distance: float
    scores: dict[str, float]


class AuditReport(Part, ResultFile):
    """The content of audit.json.

    `components` are shares of variance, the largest first, and `dimensions_really` is the number of
    them that reach EXPLAINED. `tiers` to `oracles` count articles.
    """

    FILE: ClassVar = "audit.json"

    verdict: str
    reasons: list[str]
    articles: int
    labels: int
    dimensions: dict[str, DimensionSpread]
    bins_populated: float
    standard_deviation: float
    correlations: dict[str, dict[str, float]]
    components: list[float]
    dimensions_really: int
    participation_ratio: float
    tiers: dict[str, int]
    content_rules: dict[str, int]
    languages: dict[str, int]
    oracles: dict[str, int]
    labelled: LabelTimes | None
    self_disagreement: dict[str, SelfDisagreement]
    disagreement_of_oracles: Disagreement
    outliers: list[Outlier]

    @property
    def is_usable(self) -> bool:
        """Whether there is something to learn from the labels."""
        return self.verdict != NOT_USABLE
