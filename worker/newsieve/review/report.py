"""What reviews say: how far each oracle, each student and each other person agrees with a person.

Labels of different keys, and scores of different students, are never in one statistic. Articles
that were drawn at random stand for all of their frame, by weights; those of largest disagreement
are apart, since they stand for themselves alone. It knows no store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np

from newsieve.review.agreement import Estimate, Floats, alpha, correlation, mean, share
from newsieve_schemas.oracle import HUMAN

ORACLE: Final = "oracle"
STUDENT: Final = "student"
RANDOM: Final = "random"
DISAGREEMENT: Final = "disagreement"

Statistic = Callable[[Floats, Floats], Estimate]


class Rater(NamedTuple):
    """Whoever scores: a person, an oracle by its key's name, a student by its hash."""

    kind: str
    name: str


class Rating(NamedTuple):
    """One rater's scores of one article, in the order of the dimensions, and their tier.

    `pi` is the probability with which this rater was asked about the article; None where it is not
    known, as of a label that was asked for by hand.
    """

    scores: Sequence[float]
    tier: str | None
    pi: float | None = 1.0


@dataclass(frozen=True, slots=True)
class ReviewedArticle:
    """An article of a sample with all that was said of it. `pi` is None where the disagreement was
    the reason to draw it; `frame` is how many articles the sample was drawn from."""

    sample: int
    frame: int
    pi: float | None
    ratings: Mapping[Rater, Rating]

    @property
    def half(self) -> str:
        """The half of its sample that the article is in."""
        return DISAGREEMENT if self.pi is None else RANDOM


class DimensionAgreement(NamedTuple):
    """How far two raters agree on one dimension. `bias` is the first one's score less the second
    one's, `correlation` is Pearson's, None where there is none."""

    dimension: str
    mean_absolute_error: Estimate
    bias: Estimate
    correlation: float | None


class Comparison(NamedTuple):
    """Two raters on the articles of one half that both have scored. `left_out` counts those that
    the first one scored with a probability that nobody knows. `tiers` counts articles by the
    tiers of both."""

    first: Rater
    second: Rater
    half: str
    articles: int
    left_out: int
    dimensions: list[DimensionAgreement]
    same_tier: Estimate | None
    tiers: dict[tuple[str, str], int]


class Reliability(NamedTuple):
    """How far people agree among themselves on one half's articles that two or more have reviewed:
    Krippendorff's alpha of each dimension."""

    half: str
    reviewers: list[str]
    articles: int
    alphas: dict[str, Estimate | None]


def comparisons(articles: Sequence[ReviewedArticle], dimensions: Sequence[str]) -> list[Comparison]:
    """Compare each person with oracles, students and other people, in each half."""
    found = []
    for first, second in _pairs(articles):
        for half in (RANDOM, DISAGREEMENT):
            both = [
                item
                for item in articles
                if item.half == half and first in item.ratings and second in item.ratings
            ]
            if both:
                found.append(_compare(first, second, half, both, dimensions))
    return found


def reliability(
    articles: Sequence[ReviewedArticle], dimensions: Sequence[str]
) -> list[Reliability]:
    """Return how far people agree among themselves, for each half with an article of two."""
    found = []
    for half in (RANDOM, DISAGREEMENT):
        shared = [item for item in articles if item.half == half and len(_people(item)) > 1]
        if not shared:
            continue
        people = sorted({person for item in shared for person in _people(item)})
        scores = np.full((len(dimensions), len(people), len(shared)), np.nan)
        for column, item in enumerate(shared):
            for row, person in enumerate(people):
                if person in item.ratings:
                    scores[:, row, column] = item.ratings[person].scores
        alphas = {name: alpha(scores[index]) for index, name in enumerate(dimensions)}
        found.append(Reliability(half, [item.name for item in people], len(shared), alphas))
    return found


def _pairs(articles: Sequence[ReviewedArticle]) -> Iterator[tuple[Rater, Rater]]:
    """Yield who is compared: oracles, students, then people, each with each person."""
    raters = {rater for item in articles for rater in item.ratings}
    people = sorted(rater for rater in raters if rater.kind == HUMAN)
    for kind in (ORACLE, STUDENT):
        for first in sorted(rater for rater in raters if rater.kind == kind):
            yield from ((first, second) for second in people)
    yield from combinations(people, 2)


def _people(article: ReviewedArticle) -> list[Rater]:
    return [rater for rater in article.ratings if rater.kind == HUMAN]


def _compare(
    first: Rater,
    second: Rater,
    half: str,
    both: Sequence[ReviewedArticle],
    dimensions: Sequence[str],
) -> Comparison:
    used = both if half == DISAGREEMENT else [item for item in both if _is_known(item, first)]
    left_out = len(both) - len(used)
    if not used:
        return Comparison(first, second, half, 0, left_out, [], None, {})
    weights = _weights(used, first) if half == RANDOM else np.ones(len(used))
    one, other = (
        np.array([item.ratings[rater].scores for item in used], dtype=np.float64)
        for rater in (first, second)
    )

    def estimate(values: Floats, of: Statistic = mean) -> Estimate:
        found = of(values, weights)
        return found if half == RANDOM else Estimate(found.value)

    agreements = [
        DimensionAgreement(
            name,
            estimate(np.abs(one[:, column] - other[:, column])),
            estimate(one[:, column] - other[:, column]),
            correlation(one[:, column], other[:, column], weights),
        )
        for column, name in enumerate(dimensions)
    ]
    tiers = [(item.ratings[first].tier or "", item.ratings[second].tier or "") for item in used]
    same = np.array([left == right for left, right in tiers], dtype=np.float64)
    return Comparison(
        first,
        second,
        half,
        len(used),
        left_out,
        [_bounded(item) for item in agreements],
        estimate(same, share),
        dict(Counter(tiers)),
    )


def _is_known(article: ReviewedArticle, first: Rater) -> bool:
    """Whether the probability is known with which the first rater was asked."""
    return bool(article.ratings[first].pi)


def _weights(articles: Sequence[ReviewedArticle], first: Rater) -> Floats:
    """Return what each article counts: the inverse of the probability with which it was drawn and
    the first rater asked. Those of one sample together count as many articles as its frame has, so
    that a sample of which little is reviewed stands for no less."""
    weights = np.array(
        [1 / ((item.pi or 1.0) * (item.ratings[first].pi or 1.0)) for item in articles]
    )
    samples = np.array([item.sample for item in articles])
    frames = {item.sample: item.frame for item in articles}
    for sample, frame in frames.items():
        of_sample = samples == sample
        weights[of_sample] *= frame / weights[of_sample].sum()
    return weights


def _bounded(item: DimensionAgreement) -> DimensionAgreement:
    """Return an agreement whose error has no negative limit."""
    error = item.mean_absolute_error
    low = None if error.low is None else max(error.low, 0.0)
    return item._replace(mean_absolute_error=error._replace(low=low))
