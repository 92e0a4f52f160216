"""How far two sets of scores agree, and how sure that is: error, bias, correlation, and
Krippendorff's alpha for people among themselves.

Articles may have weights, the inverse of the probability with which each was drawn. It knows
neither where scores come from nor what they mean.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CONFIDENCE: Final = 0.95
FEWEST: Final = 5  # articles: below it an interval would say nothing that can be relied on
FEWEST_FREEDOM: Final = 3  # as few leave nothing to know a spread from
FEWEST_OF_A_CORRELATION: Final = 3
RESAMPLES: Final = 1_000
BLOCK: Final = 50  # of them, computed together
FEWEST_SQUARES: Final = 1e-12  # below it scores do not vary


class Estimate(NamedTuple):
    """A value with its 95 % confidence interval, which is None where too few articles give one."""

    value: float
    low: float | None = None
    high: float | None = None


def mean(values: Floats, weights: Floats) -> Estimate:
    """Return the weighted mean: Σwv / Σw, the ratio of two Horvitz-Thompson totals.

    Its variance is that of the linearised ratio, n/(n-1) Σ(w/Σw)²(v - mean)², and its interval is
    Student's with as many degrees of freedom as the weights leave (Kish: (Σw)²/Σw² - 1). It takes
    all articles for many more than were drawn, and is too wide where most of them were.
    """
    shares = weights / weights.sum()
    centre = float(shares @ values)
    count = len(values)
    freedom = 1 / float(shares @ shares) - 1
    if count < FEWEST or freedom < FEWEST_FREEDOM:
        return Estimate(centre)
    variance = count / (count - 1) * float((shares**2) @ (values - centre) ** 2)
    if variance < FEWEST_SQUARES:  # where all are the same, nothing is known of their spread
        return Estimate(centre)
    half = _student_quantile((1 + CONFIDENCE) / 2, freedom) * math.sqrt(variance)
    return Estimate(centre, centre - half, centre + half)


def share(is_so: Floats, weights: Floats) -> Estimate:
    """Return the weighted share of ones among zeros and ones, with Wilson's interval for as many
    articles as the weights leave (Kish): it is right for shares of 0 and 1, too."""
    shares = weights / weights.sum()
    part = float(shares @ is_so)
    if len(is_so) < FEWEST:
        return Estimate(part)
    count = 1 / float(shares @ shares)
    square = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) ** 2
    centre = (part + square / (2 * count)) / (1 + square / count)
    spread = part * (1 - part) / count + square / (4 * count**2)
    half = math.sqrt(square * spread) / (1 + square / count)
    return Estimate(part, max(centre - half, 0.0), min(centre + half, 1.0))


def correlation(one: Floats, other: Floats, weights: Floats) -> float | None:
    """Return Pearson's weighted correlation; None for few articles, or where one does not vary."""
    if len(one) < FEWEST_OF_A_CORRELATION:
        return None
    shares = weights / weights.sum()
    left, right = one - shares @ one, other - shares @ other
    squares = float(shares @ left**2), float(shares @ right**2)
    if min(squares) < FEWEST_SQUARES:
        return None
    return float(shares @ (left * right)) / math.sqrt(squares[0] * squares[1])


def alpha(scores: Floats, seed: int = 0) -> Estimate | None:
    """Return Krippendorff's alpha for interval scores of (people, articles); NaN: not reviewed.

    1 is agreement, 0 what chance would give. Krippendorff, "Computing Krippendorff's
    Alpha-Reliability" (2011): 1 - D_o/D_e of squared differences, within articles and among all
    scores. The interval is that of articles drawn again with replacement. None where no article has
    two scores, or all scores are the same.
    """
    counts = np.count_nonzero(~np.isnan(scores), axis=0)
    units = scores[:, counts > 1]
    sizes = counts[counts > 1].astype(np.float64)
    sums, squares = np.nansum(units, axis=0), np.nansum(units**2, axis=0)
    # Σ over ordered pairs of (a - b)² is 2(mΣa² - (Σa)²); each article counts 1/(m - 1) of it.
    within = 2 * (sizes * squares - sums**2) / (sizes - 1)
    parts = np.stack([within, sizes, sums, squares])
    (value,) = _alphas(parts, np.ones((1, len(sizes))))
    if math.isnan(value):
        return None
    if len(sizes) < FEWEST:
        return Estimate(value)
    chance = np.random.default_rng(seed)
    even = np.full(len(sizes), 1 / len(sizes))
    drawn: list[float] = []
    for _ in range(RESAMPLES // BLOCK):  # all at once, many articles would take much memory
        times = chance.multinomial(len(sizes), even, BLOCK)
        drawn += _alphas(parts, times.astype(np.float64))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail]).tolist()
    return Estimate(value, low, high)


def _alphas(parts: Floats, times: Floats) -> list[float]:
    """Return alpha for each row of how often every article counts; NaN where it is not defined."""
    within, sizes, sums, squares = parts @ times.T
    observed = within * (sizes - 1)
    expected = 2 * (sizes * squares - sums**2)
    is_defined = (sizes > 1) & (expected > FEWEST_SQUARES)
    ratio = np.divide(observed, expected, out=np.full(len(sizes), math.nan), where=is_defined)
    values: list[float] = (1 - ratio).tolist()
    return values


def _student_quantile(probability: float, freedom: float) -> float:
    """Return the quantile of Student's t by the expansion about the normal quantile of Abramowitz
    and Stegun, 26.7.5; with 4 degrees of freedom it is right to a hundredth."""
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))
