"""How good scores are, beside what is easy. Pure: arrays in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from worker.rules.catalogue import Filter

Floats = npt.NDArray[np.float64]

RESAMPLES: Final = 1_000
DECIMALS: Final = 4


def quality(
    filter_: Filter, student: Floats, oracle: Floats, rules: Sequence[Sequence[str]], seed: int
) -> dict[str, Any]:
    """Everything about one set of (N, D) scores. `rules`: the content rules each text met."""
    error = student - oracle
    names = filter_.definition.dimension_names
    return {
        "articles": len(student),
        "mae": _rounded(np.abs(error).mean()),
        "mae_interval": _interval(np.abs(error).mean(axis=1), seed),
        "spearman": _rounded(
            np.mean([_spearman(s, o) for s, o in zip(student.T, oracle.T, strict=True)])
        ),
        "dimensions": {
            name: {
                "mae": _rounded(np.abs(error[:, at]).mean()),
                "rmse": _rounded(np.sqrt((error[:, at] ** 2).mean())),
                "bias": _rounded(error[:, at].mean()),
                "spearman": _rounded(_spearman(student[:, at], oracle[:, at])),
            }
            for at, name in enumerate(names)
        },
        **_tiers(filter_, student, oracle, rules),
        "shuffled_mae": _rounded(np.abs(_shuffled(student, seed) - oracle).mean()),
    }


def _tiers(
    filter_: Filter, student: Floats, oracle: Floats, rules: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """Agreement of the tiers that student and oracle lead to; caps apply to both."""
    published = set(filter_.definition.published_tiers)
    ours = filter_.tiering.decide(student, rules).tier
    theirs = filter_.tiering.decide(oracle, rules).tier
    most_common = max(set(theirs), key=theirs.count)
    return {
        "tier_agreement": _share(a == b for a, b in zip(ours, theirs, strict=True)),
        "tier_kappa": _rounded(cohen_kappa_score(ours, theirs)),
        "tier_majority": _share(tier == most_common for tier in theirs),
        "surfaced_agreement": _share(
            (a in published) == (b in published) for a, b in zip(ours, theirs, strict=True)
        ),
        "surfaced_kappa": _rounded(
            cohen_kappa_score([a in published for a in ours], [b in published for b in theirs])
        ),
    }


def _interval(per_article: Floats, seed: int) -> list[float]:
    """95 % of the mean, by bootstrap over articles."""
    chance = np.random.default_rng(seed)
    draws = chance.integers(0, len(per_article), (RESAMPLES, len(per_article)))
    means = per_article[draws].mean(axis=1)
    return [_rounded(np.quantile(means, 0.025)), _rounded(np.quantile(means, 0.975))]


def _shuffled(student: Floats, seed: int) -> Floats:
    """The scores of other texts: a student that reads the text must get much worse."""
    return np.random.default_rng(seed).permutation(student)


def _spearman(student: Floats, oracle: Floats) -> float:
    if np.ptp(student) == 0 or np.ptp(oracle) == 0:
        return 0.0
    return float(spearmanr(student, oracle).statistic)


def _share(hits: Any) -> float:
    return _rounded(np.mean(list(hits)))


def _rounded(value: Any) -> float:
    return round(float(value), DECIMALS)
