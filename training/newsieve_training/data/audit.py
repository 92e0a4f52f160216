"""audit: measures the labels before anything is trained on them, and gives a verdict.

It computes how spread each dimension is, how many dimensions there really are, how far an oracle is
from itself, and which articles look mislabelled.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from newsieve.filters.definition import SCORE_MAX
from newsieve.filters.registry import Filter
from newsieve_training.data.audit_report import (
    EXPLAINED,
    USABLE,
    AuditReport,
    DimensionSpread,
    Disagreement,
    LabelTimes,
    Outlier,
    SelfDisagreement,
)
from newsieve_training.data.audit_verdict import judge
from newsieve_training.data.label_aggregation import decided, label_scores
from newsieve_training.data.split import split_names
from newsieve_training.evaluation.metrics import DECIMALS
from newsieve_training.pipeline.files import Row
from newsieve_training.pipeline.graph import AUDIT
from newsieve_training.pipeline.recipe import CROSS_VALIDATION
from newsieve_training.pipeline.run_folder import Run
from newsieve_training.pipeline.stage import StageWorkspace, run_stage

Floats = npt.NDArray[np.float64]
Pair = tuple[Sequence[int], Sequence[int]]  # of labels of one article

BINS: Final = int(SCORE_MAX) + 1  # one for each integer that an oracle can say
OUTLIERS_LISTED: Final = 20
OUTLIER_PROBABILITY: Final = 1e-4  # of so odd a label, were labels normal
LEAST_PAIRS: Final = 20  # of labels of one article, for figures of them


def audit(run: Run) -> bool:
    """Audit the labels of a run. Returns False when that was done already."""
    return run_stage(run, AUDIT, lambda workspace: _write(run, workspace))


def _write(run: Run, workspace: StageWorkspace) -> Mapping[str, Any]:
    filter_, split = run.filter, run.recipe.split
    rows = [row for name in split_names(split) for row in run.rows(name)]
    report = audit_of(
        decided(rows, filter_), filter_, cross_validated=split.kind == CROSS_VALIDATION
    )
    report.write(workspace.out)
    return {}


def audit_of(rows: Sequence[Row], filter_: Filter, *, cross_validated: bool) -> AuditReport:
    """Compute all figures and the verdict. `rows` are as `decided` returns them."""
    names = filter_.definition.dimension_names
    scores = label_scores(rows, filter_)
    single = np.array([label["scores"] for row in rows for label in row["labels"]])
    dimensions = {name: _spread(single[:, column]) for column, name in enumerate(names)}
    spreads = dimensions.values()
    report = AuditReport(
        verdict=USABLE,
        reasons=[],
        articles=len(rows),
        labels=len(single),
        dimensions=dimensions,
        bins_populated=_mean(spread.bins_populated for spread in spreads),
        standard_deviation=_mean(spread.standard_deviation for spread in spreads),
        **_structure(scores, names)._asdict(),
        tiers=dict(Counter(row["tier"] for row in rows).most_common()),
        content_rules=dict(Counter(n for row in rows for n in row["content_rules"])),
        languages=dict(Counter(str(row["language"]) for row in rows).most_common()),
        oracles=dict(Counter(k for row in rows for k in row["oracles"]).most_common()),
        labelled=_label_times(rows),
        **_disagreements(rows, names)._asdict(),
        outliers=list(_outliers(rows, scores, names)),
    )
    verdict, reasons = judge(report, cross_validated=cross_validated)
    return report.model_copy(update={"verdict": verdict, "reasons": reasons})


def _spread(scores: Floats) -> DimensionSpread:
    counts = np.bincount(scores.astype(int), minlength=BINS)
    return DimensionSpread(
        mean=_rounded(scores.mean()),
        standard_deviation=_rounded(scores.std()),
        histogram=counts.tolist(),
        bins_populated=_rounded((counts > 0).mean()),
        empty_bins=np.flatnonzero(counts == 0).tolist(),
    )


class _Structure(NamedTuple):
    correlations: dict[str, dict[str, float]]
    components: list[float]
    dimensions_really: int
    participation_ratio: float


def _structure(scores: Floats, names: Sequence[str]) -> _Structure:
    """Compute correlations, and principal components of the standardised scores."""
    spread = scores.std(axis=0)
    standardised = (scores - scores.mean(axis=0)) / np.where(spread > 0, spread, 1)
    correlations = standardised.T @ standardised / len(scores)
    shares = np.sort(np.linalg.eigvalsh(correlations))[::-1].clip(0)
    varies = bool(shares.sum())  # or there is no dimension at all
    shares /= shares.sum() if varies else 1
    return _Structure(
        correlations={
            name: dict(zip(names, correlations[row].round(DECIMALS).tolist(), strict=True))
            for row, name in enumerate(names)
        },
        components=shares.round(DECIMALS).tolist(),
        # as many as reach EXPLAINED; and the participation ratio (Gao et al. 2017), a smooth count
        dimensions_really=int(np.searchsorted(shares.cumsum(), EXPLAINED) + 1) if varies else 0,
        participation_ratio=_rounded(1 / (shares**2).sum()) if varies else 0.0,
    )


def _label_times(rows: Sequence[Row]) -> LabelTimes | None:
    """Return how far the labels lie apart: an oracle may have changed in between."""
    times = sorted(t for row in rows for label in row["labels"] if (t := label["scored_at"]))
    if not times:
        return None
    try:
        first, last = (dt.datetime.fromisoformat(time) for time in (times[0], times[-1]))
        days_apart = (last - first).days
    except (TypeError, ValueError):  # not a date, or one with and one without a zone
        days_apart = None
    return LabelTimes(first=times[0], last=times[-1], days_apart=days_apart)


class _Disagreements(NamedTuple):
    self_disagreement: dict[str, SelfDisagreement]
    disagreement_of_oracles: Disagreement


def _disagreements(rows: Sequence[Row], names: Sequence[str]) -> _Disagreements:
    """Compute how two labels of one article differ: of one oracle, and of different ones."""
    pairs: dict[str, list[Pair]] = defaultdict(list)
    mixed: list[Pair] = []
    for row in rows:
        for a, b in combinations(row["labels"], 2):
            into = pairs[a["oracle"]] if a["oracle"] == b["oracle"] else mixed
            into.append((a["scores"], b["scores"]))
    labelled = Counter(key for row in rows for key in row["oracles"])
    return _Disagreements(
        {
            key: SelfDisagreement(
                share_of_articles=_rounded(count / len(rows)),
                **_differences(pairs[key], names),
                **_noise_floor(pairs[key]),
            )
            for key, count in labelled.most_common()
        },
        Disagreement(**_differences(mixed, names)),
    )


def _differences(pairs: Sequence[Pair], names: Sequence[str]) -> dict[str, Any]:
    """Return the fields of `Disagreement`, with figures only where there are enough pairs."""
    if len(pairs) < LEAST_PAIRS:
        return {"pairs": len(pairs), "mean_difference": None, "standard_error": None}
    distances = _distances(pairs)
    per_pair, by_dimension = distances.mean(axis=1), distances.mean(axis=0).round(DECIMALS).tolist()
    return {
        "pairs": len(pairs),
        "mean_difference": _rounded(per_pair.mean()),
        "standard_error": _rounded(per_pair.std(ddof=1) / len(pairs) ** 0.5),
        "dimensions": dict(zip(names, by_dimension, strict=True)),
    }


def _noise_floor(pairs: Sequence[Pair]) -> dict[str, float | None]:
    """Return the least error that a student can have on articles such as these.

    For independent labels X and Y of one article E|X - Y| ≤ 2 E|X - m| whatever m is, so half of it
    bounds any student. If errors were normal, a student that knew the oracle's own mean would be
    E|X - Y| / √2 from a label.
    """
    if len(pairs) < LEAST_PAIRS:
        return {"noise_floor": None, "noise_floor_if_normal": None}
    mean = _distances(pairs).mean()
    return {"noise_floor": _rounded(mean / 2), "noise_floor_if_normal": _rounded(mean / 2**0.5)}


def _distances(pairs: Sequence[Pair]) -> Floats:
    """Return (P, D) absolute differences of the scores of each pair of labels."""
    a, b = (np.array([pair[side] for pair in pairs], dtype=np.float64) for side in (0, 1))
    return np.abs(a - b)


def _outliers(rows: Sequence[Row], scores: Floats, names: Sequence[str]) -> Iterator[Outlier]:
    """Yield labels whose combination of scores is odd by Mahalanobis' distance, oddest first."""
    centred = scores - scores.mean(axis=0)
    precision = np.linalg.pinv(np.cov(centred.T).reshape(len(names), len(names)))
    distances = np.einsum("nd,de,ne->n", centred, precision, centred)
    limit = chi2.isf(OUTLIER_PROBABILITY, len(names))
    for index in np.argsort(-distances, kind="stable")[:OUTLIERS_LISTED].tolist():
        if distances[index] > limit:
            yield Outlier(
                id=rows[index]["id"],
                url=rows[index]["url"],
                distance=_rounded(distances[index] ** 0.5),
                scores=rows[index]["scores"],
            )


def _mean(values: Iterable[float]) -> float:
    return _rounded(np.mean(list(values)))


def _rounded(value: Any) -> float:
    return round(float(value), DECIMALS)
