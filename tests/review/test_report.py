"""What a report compares with what, and how articles count."""

from __future__ import annotations

import random
import statistics

import pytest

from newsieve.review.report import (
    DISAGREEMENT,
    ORACLE,
    RANDOM,
    STUDENT,
    Rater,
    Rating,
    ReviewedArticle,
    comparisons,
    reliability,
)
from newsieve_schemas.oracle import HUMAN

ANN, BOB = Rater(HUMAN, "ann"), Rater(HUMAN, "bob")
ONE, OTHER = Rater(ORACLE, "gemini/one/1/abc"), Rater(ORACLE, "gemini/two/1/abc")
TINY = Rater(STUDENT, "sha256:aa")
NAMES = ("agency", "wonder")


def article(
    pi: float | None, said: dict[Rater, float], sample: int = 1, frame: int = 100, **pis: float
) -> ReviewedArticle:
    ratings = {
        rater: Rating([score, 0.0], "high" if score >= 5 else "low", pis.get(rater.kind, 1.0))
        for rater, score in said.items()
    }
    return ReviewedArticle(sample, frame, pi, ratings)


def test_keys_and_people_are_never_in_one_statistic() -> None:
    """Each oracle, each student and each other person is compared with each person apart."""
    found = comparisons(
        [
            article(0.1, {ANN: 5, BOB: 7, ONE: 4, TINY: 5.5}),
            article(0.1, {ANN: 5, OTHER: 9, TINY: 5.5}),
        ],
        NAMES,
    )
    assert [(item.first, item.second, item.articles) for item in found] == [
        (ONE, ANN, 1),
        (ONE, BOB, 1),
        (OTHER, ANN, 1),
        (TINY, ANN, 2),
        (TINY, BOB, 1),
        (ANN, BOB, 1),
    ]
    biases = {(item.first, item.second): item.dimensions[0].bias.value for item in found}
    assert biases[ONE, ANN] == -1
    assert biases[OTHER, ANN] == 4
    assert biases[ANN, BOB] == -2


def test_the_halves_are_apart_and_only_the_random_one_has_intervals() -> None:
    """Articles of largest disagreement would make every oracle look bad."""
    articles = [article(0.1, {ANN: 5, ONE: 5 + n % 2}) for n in range(10)]
    articles += [article(None, {ANN: 0, ONE: 10}) for _ in range(10)]
    fair, chosen = comparisons(articles, NAMES)
    assert (fair.half, chosen.half) == (RANDOM, DISAGREEMENT)
    error = fair.dimensions[0].mean_absolute_error
    assert error.value == 0.5
    assert error.low is not None
    assert chosen.dimensions[0].mean_absolute_error == (10.0, None, None)
    assert chosen.same_tier == (0.0, None, None)
    assert chosen.tiers == {("high", "low"): 10}


def test_an_oracles_own_probability_counts_too() -> None:
    """It labels surfaced articles more often than low ones; a label by hand has no probability."""
    surfaced = [article(0.1, {ANN: 8, ONE: 8}, oracle=0.9) for _ in range(9)]
    low = [article(0.1, {ANN: 2, ONE: 4}, oracle=0.1)]
    (found,) = comparisons([*surfaced, *low], NAMES)
    # Nine of ten surfaced ones and one of ten low ones: ten of each, so that the mean bias is 1.
    assert found.dimensions[0].bias.value == pytest.approx(1.0)

    by_hand = ReviewedArticle(1, 100, 0.1, {**low[0].ratings, ONE: Rating([4, 0], "low", None)})
    (found,) = comparisons([*surfaced, by_hand], NAMES)
    assert (found.articles, found.left_out) == (9, 1)


def test_a_sample_counts_as_many_articles_as_it_was_drawn_from() -> None:
    """Not as many as happen to be reviewed by now."""
    articles = [article(0.5, {ANN: 1, TINY: 1}, sample=1, frame=300) for _ in range(30)]
    articles += [article(0.01, {ANN: 1, TINY: 5}, sample=2, frame=100)]
    (found,) = comparisons(articles, NAMES)
    assert found.dimensions[0].bias.value == pytest.approx(1.0)


def test_the_estimate_from_a_random_half_is_unbiased_over_draws() -> None:
    """Error and bias of all articles, from those that reviewer and oracle happened to be asked
    about with unequal probabilities."""
    chance = random.Random(3)
    people = [chance.uniform(0, 10) for _ in range(300)]
    errors = [chance.uniform(-2, 3) * (score > 5) for score in people]
    pis = [0.9 if score > 5 else 0.3 for score in people]
    estimates = []
    for _ in range(400):
        drawn = [n for n in chance.sample(range(300), 60) if chance.random() < pis[n]]
        articles = [
            article(0.2, {ANN: people[n], ONE: people[n] + errors[n]}, frame=300, oracle=pis[n])
            for n in drawn
        ]
        (found,) = comparisons(articles, NAMES)
        estimates.append(found.dimensions[0].bias.value)
    standard_error = statistics.stdev(estimates) / len(estimates) ** 0.5
    assert abs(statistics.fmean(estimates) - statistics.fmean(errors)) < 4 * standard_error


def test_people_among_themselves_need_shared_articles() -> None:
    """An article that one person has reviewed says nothing of it."""
    alone = [article(0.1, {ANN: n}) for n in range(6)]
    shared = [article(0.1, {ANN: n, BOB: n + n % 2}) for n in range(6)]
    assert reliability(alone, NAMES) == []
    (found,) = reliability([*alone, *shared], NAMES)
    assert (found.half, found.reviewers, found.articles) == (RANDOM, ["ann", "bob"], 6)
    value = found.alphas["agency"]
    assert value is not None
    assert 0.8 < value.value < 1
    assert found.alphas["wonder"] is None  # all scores are the same
