"""Agreement against numbers that others have published or that can be computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from newsieve.review.agreement import Estimate, alpha, correlation, mean, share

N = math.nan
# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section E.
FOUR_OBSERVERS = np.array([
    [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
    [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
])  # fmt: skip


def test_alpha_is_that_of_the_published_example() -> None:
    """0.849 for interval data, with units that some have not scored, and one that one has."""
    found = alpha(FOUR_OBSERVERS)
    assert found is not None
    assert found.value == pytest.approx(0.849, abs=0.0005)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high <= 1


def test_alpha_knows_perfect_and_no_agreement() -> None:
    """1 for the same scores, about 0 for chance, below it for opposites."""
    chance = np.random.default_rng(1)
    same = np.tile(chance.integers(0, 11, 40), (2, 1)).astype(float)
    independent = chance.integers(0, 11, (2, 2_000)).astype(float)
    opposite = np.array([[0, 10, 0, 10, 0], [10, 0, 10, 0, 10]], dtype=float)
    assert alpha(same) == Estimate(1.0, 1.0, 1.0)
    assert (found := alpha(independent)) is not None
    assert abs(found.value) < 0.07
    assert (found := alpha(opposite)) is not None
    assert found.value < -0.5


@pytest.mark.parametrize(
    "scores",
    [
        np.array([[1, 2, N], [N, N, 3]]),  # no article with two scores
        np.array([[4, 4, 4], [4, 4, 4]], dtype=float),  # nothing varies: no chance to compare with
        np.empty((2, 0)),
    ],
)
def test_alpha_is_not_said_where_it_is_not_defined(scores: np.ndarray) -> None:
    """Rather than 0 or 1."""
    assert alpha(scores) is None


def test_few_articles_have_an_alpha_without_an_interval() -> None:
    """Four of them drawn again would say nothing."""
    found = alpha(np.array([[1, 2, 3, 4], [1, 2, 3, 5]], dtype=float))
    assert found is not None
    assert (found.low, found.high) == (None, None)


def test_a_mean_has_students_interval() -> None:
    """1 to 10 with equal weights: 5.5 ± 2.262 · sqrt(55/6/10) for 9 degrees of freedom."""
    found = mean(np.arange(1.0, 11.0), np.full(10, 3.0))
    assert found.value == pytest.approx(5.5)
    assert found.low == pytest.approx(5.5 - 2.262157 * math.sqrt(55 / 6 / 10), abs=1e-3)
    assert found.high == pytest.approx(5.5 + 2.262157 * math.sqrt(55 / 6 / 10), abs=1e-3)


def test_what_is_the_same_everywhere_has_no_interval() -> None:
    """Six articles without an error do not show that there is none."""
    assert mean(np.zeros(6), np.ones(6)) == Estimate(0.0)


def test_a_share_has_wilsons_interval() -> None:
    """0 of 10 is less than 27.8 %, 4 of 10 are 16.8 to 68.7 %; weights leave fewer."""
    none = share(np.zeros(10), np.ones(10))
    some = share(np.array([1.0] * 4 + [0.0] * 6), np.full(10, 7.0))
    assert none == (0.0, 0.0, pytest.approx(0.2775, abs=0.0005))
    assert some == (
        pytest.approx(0.4), pytest.approx(0.1682, abs=0.0005), pytest.approx(0.6873, abs=0.0005)
    )  # fmt: skip
    uneven = share(np.array([1.0] * 4 + [0.0] * 6), np.array([5.0] + [1.0] * 9))
    assert uneven.high - uneven.low > some.high - some.low  # type: ignore[operator]
    assert share(np.ones(4), np.ones(4)) == Estimate(1.0)


def test_weights_count_as_many_articles() -> None:
    """An article that was drawn with a tenth of the probability stands for ten times as many."""
    found = mean(np.array([1.0, 5.0]), np.array([10.0, 1.0]))
    assert found == Estimate(pytest.approx(15 / 11))


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Of samples with unequal probabilities, 95 % or a little less for as few as 25 articles."""
    chance = np.random.default_rng(7)
    values = chance.gamma(2.0, 1.0, 2_000)
    pi = np.where(values > 2, 0.02, 0.008)  # what is large is drawn more often
    covered = trials = 0
    for _ in range(800):
        drawn = chance.random(len(values)) < pi
        if drawn.sum() < 5:
            continue
        found = mean(values[drawn], 1 / pi[drawn])
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= values.mean() <= found.high
        trials += 1
    assert covered / trials == pytest.approx(0.94, abs=0.03)


def test_correlation_is_pearsons() -> None:
    """Anscombe's first quartet has 0.816; nothing is said where nothing varies."""
    x = np.array([10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5], dtype=float)
    y = np.array([8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68])
    assert correlation(x, y, np.ones(11)) == pytest.approx(0.816, abs=0.0005)
    assert correlation(x, np.full(11, 3.0), np.ones(11)) is None
    assert correlation(x[:2], y[:2], np.ones(2)) is None
    doubled = correlation(np.append(x, x[:3]), np.append(y, y[:3]), np.ones(14))
    assert correlation(x, y, np.array([2.0] * 3 + [1.0] * 8)) == pytest.approx(doubled)
