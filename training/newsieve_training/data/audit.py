"""audit: what is true of the labels, before anything is trained on them, with a verdict.

How spread each dimension is, how many dimensions there really are, how far an oracle is from
itself, which articles look mislabelled.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from newsieve.filters.definition import SCORE_MAX
from newsieve.filters.registry import Filter
from newsieve_training.data.label_aggregation import decided, label_scores
from newsieve_training.data.split import split_names
from newsieve_training.evaluation.metrics import DECIMALS
from newsieve_training.pipeline.files import Row, write_json
from newsieve_training.pipeline.graph import AUDIT
from newsieve_training.pipeline.recipe import CROSS_VALIDATION
from newsieve_training.pipeline.run_folder import Run
from newsieve_training.pipeline.stage import StageWorkspace, run_stage

Floats = npt.NDArray[np.float64]
Pair = tuple[Sequence[int], Sequence[int]]  # of labels of one article

BINS: Final = int(SCORE_MAX) + 1  # one for each integer that an oracle can say
EXPLAINED: Final = 0.9  # of the variance: by as many components as there really are dimensions
OUTLIERS_LISTED: Final = 20
OUTLIER_PROBABILITY: Final = 1e-4  # of so odd a label, were labels normal
# Below these a student can be made, but something of it cannot be said, or is worth little.
LEAST_TO_HOLD_OUT: Final = 1_000
LEAST_TIER_SHARE: Final = 0.02
LEAST_STANDARD_DEVIATION: Final = 0.5
LEAST_BINS_POPULATED: Final = 0.6
MOST_CORRELATED: Final = 0.9
LEAST_PAIRS: Final = 20
# Below this there is nothing to learn.
LEAST_TO_LEARN: Final = 100
NOT_USABLE: Final = "not usable"


def audit(run: Run) -> bool:
    """Returns False when that was done already."""
    return run_stage(run, AUDIT, lambda place: _make(run, place))


def is_usable(run: Run) -> bool:
    """Whether there is something to learn from the labels of a run that was audited."""
    return bool(run.json("audit.json")["verdict"] != NOT_USABLE)


def _make(run: Run, place: StageWorkspace) -> Mapping[str, Any]:
    filter_ = run.filter
    rows = [row for name in split_names(run.recipe.split) for row in run.rows(name)]
    facts = audited(decided(rows, filter_), filter_)
    verdict, reasons = judge(facts, cross_validated=run.recipe.split.kind == CROSS_VALIDATION)
    write_json(place.out / "audit.json", {"verdict": verdict, "reasons": reasons, **facts})
    return {}


def audited(rows: Sequence[Row], filter_: Filter) -> dict[str, Any]:
    """All figures. `rows` as `decided` gives them."""
    names = filter_.definition.dimension_names
    scores = label_scores(rows, filter_)
    single = np.array([label["scores"] for row in rows for label in row["labels"]])
    times = sorted(t for row in rows for label in row["labels"] if (t := label["scored_at"]))
    dimensions = {name: _spread(single[:, at]) for at, name in enumerate(names)}
    return {
        "articles": len(rows),
        "labels": len(single),
        "dimensions": dimensions,
        "bins_populated": _mean(facts["bins_populated"] for facts in dimensions.values()),
        "standard_deviation": _mean(facts["standard_deviation"] for facts in dimensions.values()),
        **_structure(scores, names),
        "tiers": dict(Counter(row["tier"] for row in rows).most_common()),
        "content_rules": dict(Counter(n for row in rows for n in row["content_rules"])),
        "languages": dict(Counter(str(row["language"]) for row in rows).most_common()),
        "oracles": dict(Counter(k for row in rows for k in row["oracles"]).most_common()),
        "labelled": {"first": times[0], "last": times[-1], **_age(times)} if times else None,
        **_disagreement(rows, names),
        "outliers": list(_outliers(rows, scores, names)),
    }


def _spread(scores: Floats) -> dict[str, Any]:
    counts = np.bincount(scores.astype(int), minlength=BINS)
    return {
        "mean": _rounded(scores.mean()),
        "standard_deviation": _rounded(scores.std()),
        "histogram": counts.tolist(),
        "bins_populated": _rounded((counts > 0).mean()),
        "empty_bins": np.flatnonzero(counts == 0).tolist(),
    }


def _structure(scores: Floats, names: Sequence[str]) -> dict[str, Any]:
    """Correlations, and principal components of the standardised scores."""
    spread = scores.std(axis=0)
    standardised = (scores - scores.mean(axis=0)) / np.where(spread > 0, spread, 1)
    correlations = standardised.T @ standardised / len(scores)
    shares = np.sort(np.linalg.eigvalsh(correlations))[::-1].clip(0)
    varies = bool(shares.sum())  # or there is no dimension at all
    shares /= shares.sum() if varies else 1
    return {
        "correlations": {
            name: dict(zip(names, correlations[at].round(DECIMALS).tolist(), strict=True))
            for at, name in enumerate(names)
        },
        "components": shares.round(DECIMALS).tolist(),
        # as many as reach EXPLAINED; and the participation ratio (Gao et al. 2017), a smooth count
        "dimensions_really": int(np.searchsorted(shares.cumsum(), EXPLAINED) + 1) if varies else 0,
        "participation_ratio": _rounded(1 / (shares**2).sum()) if varies else 0.0,
    }


def _age(times: Sequence[str]) -> dict[str, Any]:
    """How far the labels lie apart: an oracle may have changed in between."""
    try:
        first, last = (dt.datetime.fromisoformat(times[at]) for at in (0, -1))
        return {"days_apart": (last - first).days}
    except (TypeError, ValueError):  # not a date, or one with and one without a zone
        return {"days_apart": None}


def _disagreement(rows: Sequence[Row], names: Sequence[str]) -> dict[str, Any]:
    """How two labels of one article differ: by oracle, and between different ones."""
    pairs: dict[str, list[Pair]] = defaultdict(list)
    mixed: list[Pair] = []
    for row in rows:
        for a, b in combinations(row["labels"], 2):
            into = pairs[a["oracle"]] if a["oracle"] == b["oracle"] else mixed
            into.append((a["scores"], b["scores"]))
    labelled = Counter(key for row in rows for key in row["oracles"])
    return {
        "self_disagreement": {
            key: {
                "share_of_articles": _rounded(count / len(rows)),
                **_apart(pairs[key], names),
                **_noise_floor(pairs[key]),
            }
            for key, count in labelled.most_common()
        },
        "disagreement_of_oracles": _apart(mixed, names),
    }


def _apart(pairs: Sequence[Pair], names: Sequence[str]) -> dict[str, Any]:
    """Figures only where there are enough pairs to mean something."""
    if len(pairs) < LEAST_PAIRS:
        return {"pairs": len(pairs), "mean_difference": None, "standard_error": None}
    apart = _distances(pairs)
    per_pair = apart.mean(axis=1)
    return {
        "pairs": len(pairs),
        "mean_difference": _rounded(per_pair.mean()),
        "standard_error": _rounded(per_pair.std(ddof=1) / len(pairs) ** 0.5),
        "dimensions": dict(zip(names, apart.mean(axis=0).round(DECIMALS).tolist(), strict=True)),
    }


def _noise_floor(pairs: Sequence[Pair]) -> dict[str, float | None]:
    """What no student can err less by, on articles such as these. For independent labels X and Y of
    one article E|X - Y| ≤ 2 E|X - m| whatever m is, so half of it bounds any student; were errors
    normal, a student that knew the oracle's own mean would be E|X - Y| / √2 from a label."""
    if len(pairs) < LEAST_PAIRS:
        return {"noise_floor": None, "noise_floor_if_normal": None}
    mean = _distances(pairs).mean()
    return {"noise_floor": _rounded(mean / 2), "noise_floor_if_normal": _rounded(mean / 2**0.5)}


def _distances(pairs: Sequence[Pair]) -> Floats:
    """(P, D)"""
    a, b = (np.array([pair[at] for pair in pairs], dtype=np.float64) for at in (0, 1))
    return np.abs(a - b)


def _outliers(rows: Sequence[Row], scores: Floats, names: Sequence[str]) -> Iterator[Row]:
    """Labels whose combination of scores is odd: Mahalanobis' distance, the oddest first."""
    centred = scores - scores.mean(axis=0)
    precision = np.linalg.pinv(np.cov(centred.T).reshape(len(names), len(names)))
    distances = np.einsum("nd,de,ne->n", centred, precision, centred)
    limit = chi2.isf(OUTLIER_PROBABILITY, len(names))
    for at in np.argsort(-distances, kind="stable")[:OUTLIERS_LISTED].tolist():
        if distances[at] > limit:
            yield {
                "id": rows[at]["id"],
                "url": rows[at]["url"],
                "distance": _rounded(distances[at] ** 0.5),
                "scores": rows[at]["scores"],
            }


def judge(facts: Mapping[str, Any], *, cross_validated: bool) -> tuple[str, list[str]]:
    """`usable`, `usable with reservations` or `not usable`, and why."""
    if facts["articles"] < LEAST_TO_LEARN:
        return NOT_USABLE, [
            f"{facts['articles']} articles: fewer than {LEAST_TO_LEARN} teach nothing"
        ]
    reasons = [*_about_numbers(facts, cross_validated), *_about_dimensions(facts)]
    reasons += _about_noise(facts)
    return "usable with reservations" if reasons else "usable", reasons


def _about_noise(facts: Mapping[str, Any]) -> Iterator[str]:
    for key, noise in facts["self_disagreement"].items():
        of = f"{key or 'the unnamed oracle'}, which labelled {noise['share_of_articles']:.0%},"
        if noise["mean_difference"] is None:
            yield (
                f"{of} has {noise['pairs']} pairs of labels of one article: too few to say how far "
                "it is from itself"
            )
        else:
            yield (
                f"{of} differs from itself by {noise['mean_difference']:.2f} points a score "
                f"({noise['pairs']} pairs): on articles such as those no student of it errs by "
                f"less than {noise['noise_floor']:.2f} on average, nor by less than "
                f"{noise['noise_floor_if_normal']:.2f} if its errors are normal"
            )
    others = facts["disagreement_of_oracles"]
    if others["mean_difference"] is not None:
        yield (
            f"different oracles differ by {others['mean_difference']:.2f} points a score "
            f"({others['pairs']} pairs): mixing them adds as much"
        )


def _about_numbers(facts: Mapping[str, Any], cross_validated: bool) -> Iterator[str]:  # noqa: FBT001
    articles = facts["articles"]
    if articles < LEAST_TO_HOLD_OUT and not cross_validated:
        yield (
            f"{articles} articles: a tenth of them, held out, says little; cross-validation "
            "judges by all"
        )
    for tier, count in facts["tiers"].items():
        if count / articles < LEAST_TIER_SHARE:
            yield f"only {count} articles ({count / articles:.1%}) are {tier}"
    language, count = next(iter(facts["languages"].items()))
    if count / articles > MOST_CORRELATED:
        yield f"{count / articles:.0%} of the articles are in one language, {language}"


def _about_dimensions(facts: Mapping[str, Any]) -> Iterator[str]:
    for name, spread in facts["dimensions"].items():
        if spread["standard_deviation"] < LEAST_STANDARD_DEVIATION:
            yield f"{name} hardly varies (standard deviation {spread['standard_deviation']:.2f})"
        if spread["bins_populated"] < LEAST_BINS_POPULATED:
            yield f"{name} never is {', '.join(map(str, spread['empty_bins']))}"
    names = list(facts["correlations"])
    for a, b in combinations(names, 2):
        if facts["correlations"][a][b] > MOST_CORRELATED:
            yield f"{a} and {b} say the same (correlation {facts['correlations'][a][b]:.2f})"
    really = facts["dimensions_really"]
    if really <= len(names) // 2:
        yield (
            f"{len(names)} dimensions are really {really}: as many principal components explain "
            f"{EXPLAINED:.0%} of the variance, the first alone {facts['components'][0]:.0%}"
        )


def _mean(values: Any) -> float:
    return _rounded(np.mean(list(values)))


def _rounded(value: Any) -> float:
    return round(float(value), DECIMALS)
