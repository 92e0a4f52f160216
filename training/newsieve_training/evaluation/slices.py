"""Shows where a student is good and where it is not: by language, length, source and whether a
worker scores the article, and article by article. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from newsieve.filters.registry import Filter
from newsieve_training.data.label_aggregation import is_scored
from newsieve_training.evaluation.metrics import DECIMALS
from newsieve_training.evaluation.results import SliceQuality, WorstArticle
from newsieve_training.pipeline.files import Row

Floats = npt.NDArray[np.float64]

LENGTHS: Final = (32, 64, 128, 256, 512)  # tokens, upper ends
LEAST_ARTICLES: Final = 10  # of a slice; fewer say nothing, and go to the rest
REST: Final = "the rest"
UNKNOWN: Final = "unknown"
SCORED: Final = "scored"
BLOCKED: Final = "blocked by a content rule, never scored"
WORST_LISTED: Final = 20


def slices_of(
    filter_: Filter, rows: Sequence[Row], lengths: Sequence[int], student: Floats, oracle: Floats
) -> dict[str, dict[str, SliceQuality]]:
    """Return errors by kind of slice and slice, the largest first. `lengths`: tokens read."""
    error = student - oracle
    rules = [row["content_rules"] for row in rows]
    ours, theirs = (filter_.tiering.decide(scores, rules).tier for scores in (student, oracle))
    hits = np.array([a == b for a, b in zip(ours, theirs, strict=True)])
    kinds: dict[str, Callable[[int], str]] = {
        "language": lambda index: rows[index]["language"] or UNKNOWN,
        "length": lambda index: _length(lengths[index]),
        "source": lambda index: rows[index]["source"] or UNKNOWN,
        "outcome": lambda index: SCORED if is_scored(rules[index], filter_) else BLOCKED,
    }
    return {
        kind: {
            name: _quality_of(error[members], hits[members])
            for name, members in _members(len(rows), of).items()
        }
        for kind, of in kinds.items()
    }


def worst_of(
    filter_: Filter, rows: Sequence[Row], student: Floats, oracle: Floats
) -> list[WorstArticle]:
    """Return the articles on which student and oracle differ most, with links."""
    error = np.abs(student - oracle)
    names = filter_.definition.dimension_names
    worst = []
    for index in np.argsort(-error.mean(axis=1), kind="stable")[:WORST_LISTED].tolist():
        dimension = int(error[index].argmax())
        worst.append(
            WorstArticle(
                id=rows[index]["id"],
                title=rows[index]["title"],
                url=rows[index]["url"],
                mae=round(float(error[index].mean()), DECIMALS),
                dimension=names[dimension],
                oracle=round(float(oracle[index, dimension]), DECIMALS),
                student=round(float(student[index, dimension]), DECIMALS),
            )
        )
    return worst


def _members(count: int, of: Callable[[int], str]) -> dict[str, list[int]]:
    by_name: dict[str, list[int]] = defaultdict(list)
    for index in range(count):
        by_name[of(index)].append(index)
    slices: dict[str, list[int]] = {}
    for name, members in sorted(by_name.items(), key=lambda item: -len(item[1])):
        slices.setdefault(name if len(members) >= LEAST_ARTICLES else REST, []).extend(members)
    return slices


def _length(tokens: int) -> str:
    lower = 0
    for upper in LENGTHS:
        if tokens <= upper:
            return f"{lower + 1}-{upper} tokens"
        lower = upper
    return f"more than {lower} tokens"


def _quality_of(error: Floats, hits: npt.NDArray[np.bool_]) -> SliceQuality:
    per_article = np.abs(error).mean(axis=1)
    spread = float(per_article.std(ddof=1)) if len(per_article) > 1 else 0.0
    return SliceQuality(
        articles=len(error),
        mae=round(float(per_article.mean()), DECIMALS),
        standard_error=round(spread / len(per_article) ** 0.5, DECIMALS),
        bias=round(float(error.mean()), DECIMALS),
        tier_agreement=round(float(hits.mean()), DECIMALS),
    )
