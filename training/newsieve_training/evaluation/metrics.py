"""How good scores are. Pure: arrays in, numbers out.

Intervals are 95 %, by bootstrap over articles (Efron 1979); differences of two students are drawn
on the same articles, so that what both find hard does not blur them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from newsieve.filters.registry import Filter
from newsieve_training.evaluation.results import (
    DimensionQuality,
    PairedDifference,
    Quality,
    ReliabilityBin,
    TierQuality,
)
from newsieve_training.pipeline.result_files import Interval

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.intp]

RESAMPLES: Final = 1_000
INTERVAL: Final = (0.025, 0.975)
DECIMALS: Final = 4


def quality(
    filter_: Filter, student: Floats, oracle: Floats, rules: Sequence[Sequence[str]], seed: int
) -> Quality:
    """Return all figures of one set of (N, D) scores. `rules`: the content rules each text met."""
    error = student - oracle
    draws = resamples(len(student), seed)
    ranks, oracle_ranks = _ranks(student), _ranks(oracle)
    return Quality(
        articles=len(student),
        mae=_rounded(np.abs(error).mean()),
        mae_interval=_interval(np.abs(error).mean(axis=1)[draws].mean(axis=1)),
        rmse=_rounded(np.sqrt((error**2).mean())),
        bias=_rounded(error.mean()),
        spearman=_mean_or_none([_pearson(s, o) for s, o in _columns(ranks, oracle_ranks)]),
        spearman_interval=_spearman_interval(ranks, oracle_ranks, draws),
        dimensions={
            name: DimensionQuality(
                mae=_rounded(np.abs(error[:, column]).mean()),
                mae_interval=_interval(np.abs(error[:, column])[draws].mean(axis=1)),
                rmse=_rounded(np.sqrt((error[:, column] ** 2).mean())),
                bias=_rounded(error[:, column].mean()),
                spearman=_mean_or_none([_pearson(ranks[:, column], oracle_ranks[:, column])]),
            )
            for column, name in enumerate(filter_.definition.dimension_names)
        },
        **_tier_figures(filter_, student, oracle, rules, draws),
        shuffled_mae=_rounded(np.abs(_shuffled(student, seed) - oracle).mean()),
    )


def without_ranks(quality: Quality) -> Quality:
    """Return the quality without rank correlations.

    A scorer that gives all articles of a fold one score ranks none of them, and its differences
    between folds are those of the other folds' labels.
    """
    dimensions = {
        name: item.model_copy(update={"spearman": None})
        for name, item in quality.dimensions.items()
    }
    return quality.model_copy(
        update={"spearman": None, "spearman_interval": None, "dimensions": dimensions}
    )


def _tier_figures(
    filter_: Filter,
    student: Floats,
    oracle: Floats,
    rules: Sequence[Sequence[str]],
    draws: Integers,
) -> dict[str, Any]:
    """Return the fields of `Quality` about the tiers that both lead to; caps apply to both."""
    names = list(dict.fromkeys(tier.name for tier in filter_.definition.tiers))
    published = np.isin(names, filter_.definition.published_tiers)
    ours, theirs = (
        np.array([names.index(tier) for tier in filter_.tiering.decide(scores, rules).tier])
        for scores in (student, oracle)
    )
    figures: dict[str, Any] = {}
    for kind, a, b in (
        ("tier", ours, theirs),
        ("surfaced", published[ours].astype(np.intp), published[theirs].astype(np.intp)),
    ):
        agreement, kappa = _agreement(a[None], b[None])
        agreements, kappas = _agreement(a[draws], b[draws])
        figures |= {
            f"{kind}_agreement": _rounded(agreement[0]),
            f"{kind}_agreement_interval": _interval(agreements),
            f"{kind}_kappa": _rounded(kappa[0]),
            f"{kind}_kappa_interval": _interval(kappas),
            f"{kind}_majority": _rounded(np.bincount(b).max() / len(b)),
        }
    return {**figures, "tiers": _by_tier(names, ours, theirs)}


def _by_tier(names: Sequence[str], ours: Integers, theirs: Integers) -> dict[str, TierQuality]:
    table = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(table, (theirs, ours), 1)
    return {
        name: TierQuality(
            oracle=int(table[tier].sum()),
            student=int(table[:, tier].sum()),
            recall=_share(table[tier, tier], table[tier].sum()),
            precision=_share(table[tier, tier], table[:, tier].sum()),
            student_says=dict(zip(names, table[tier].tolist(), strict=True)),
        )
        for tier, name in enumerate(names)
    }


def resamples(count: int, seed: int) -> Integers:
    """Return (RESAMPLES, N) indices of articles, drawn with replacement."""
    return np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))


def paired_difference(ours: Floats, theirs: Floats, seed: int) -> PairedDifference:
    """Return the mean of one student's figure minus another's, on the same articles."""
    difference = ours - theirs
    means = difference[resamples(len(difference), seed)].mean(axis=1)
    return PairedDifference(difference=_rounded(difference.mean()), interval=_interval(means))


def calibration_error(
    probability: Floats, hit: npt.NDArray[np.bool_], bins: int
) -> tuple[float, list[ReliabilityBin]]:
    """Return the expected calibration error over bins of equal width (Naeini et al. 2015), and
    those bins that are not empty."""
    bin_of = np.minimum((probability * bins).astype(int), bins - 1)
    filled, total = [], 0.0
    for number in range(bins):
        inside = bin_of == number
        if not inside.any():
            continue
        confidence, agreement = float(probability[inside].mean()), float(hit[inside].mean())
        total += inside.mean() * abs(confidence - agreement)
        filled.append(
            ReliabilityBin(
                lower=number / bins,
                upper=(number + 1) / bins,
                articles=int(inside.sum()),
                confidence=_rounded(confidence),
                agreement=_rounded(agreement),
            )
        )
    return _rounded(total), filled


def _agreement(ours: Integers, theirs: Integers) -> tuple[Floats, Floats]:
    """Return the share of equal tiers and Cohen's κ, for each row of (R, N)."""
    hits = (ours == theirs).mean(axis=1)
    chance = np.zeros(len(ours))
    for tier in range(int(max(ours.max(), theirs.max())) + 1):
        chance += (ours == tier).mean(axis=1) * (theirs == tier).mean(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        kappa = np.where(chance < 1, (hits - chance) / (1 - chance), 0.0)
    return hits, kappa


def _ranks(values: Floats) -> Floats:
    ranks: Floats = rankdata(values, axis=0)
    return ranks


def _columns(a: Floats, b: Floats) -> list[tuple[Floats, Floats]]:
    return list(zip(a.T, b.T, strict=True))


def _pearson(a: Floats, b: Floats) -> float | None:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def _spearman_interval(a: Floats, b: Floats, draws: Integers) -> Interval | None:
    """Return the interval of the mean over dimensions. Ranks are those among all articles: they
    are not ranked anew in each draw."""
    if any(np.ptp(column) == 0 for pair in _columns(a, b) for column in pair):
        return None
    total = np.zeros(len(draws))
    for left, right in _columns(a, b):
        x, y = left[draws], right[draws]
        x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
        scale = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
        total += np.divide((x * y).sum(axis=1), scale, out=np.zeros(len(x)), where=scale > 0)
    return _interval(total / a.shape[1])


def _shuffled(student: Floats, seed: int) -> Floats:
    """Return the scores of other texts: a student that reads the text must get much worse."""
    return np.random.default_rng(seed).permutation(student)


def _mean_or_none(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _rounded(np.mean(known)) if len(known) == len(values) else None


def _share(part: int, whole: int) -> float | None:
    return _rounded(part / whole) if whole else None


def _interval(values: Floats) -> Interval:
    low, high = np.quantile(values, INTERVAL)
    return _rounded(low), _rounded(high)


def _rounded(value: Any) -> float:
    return round(float(value), DECIMALS)
