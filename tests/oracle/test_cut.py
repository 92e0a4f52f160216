"""Who goes without a label when the budget is short, and what that makes of the others."""

from __future__ import annotations

import random
from typing import Literal

import pytest

from schemas.scored import Sampling
from worker.oracle.cut import Candidate, decide


def candidate(
    u: float,
    pi: float = 1.0,
    usd: float = 0.0,
    purpose: Literal["monitor", "training", "anchor"] = "monitor",
) -> Candidate:
    sampling = Sampling(
        selected=True, policy="p1", epoch="e", stratum="low", purpose=purpose, pi=pi, u=u
    )
    return Candidate(sampling, usd)


def test_while_the_budget_lasts_everybody_keeps_its_probability() -> None:
    """No cut, no trace of one."""
    decisions = decide([candidate(0.1, 0.2), candidate(0.01, 0.02)], lambda n, _: n <= 2)

    assert decisions == [(True, 0.2), (True, 0.02)]


def test_the_highest_u_within_its_stratum_is_dropped_first() -> None:
    """Strata are thinned alike: u counts as a share of pi."""
    low = [candidate(u, 0.02) for u in (0.001, 0.011, 0.019)]
    surfaced = [candidate(u, 0.2) for u in (0.05, 0.15)]

    decisions = decide([*low, *surfaced], lambda n, _: n <= 3)

    assert [d.is_kept for d in decisions] == [True, True, False, True, False]
    # 0.15 / 0.2 is the first that is dropped: three quarters of every pi are left
    assert [d.effective_pi for d in decisions] == pytest.approx([0.015, 0.015, 0.015, 0.15, 0.15])


def test_with_nothing_left_the_probability_is_zero() -> None:
    """Of the rest of the day the sample knows nothing, and says so."""
    assert decide([candidate(0.1), candidate(0.2)], lambda _n, _: False) == [(False, 0), (False, 0)]


def test_money_cuts_as_calls_do() -> None:
    """In the same order, at the first that does not fit."""
    waiting = [candidate(0.3, usd=1), candidate(0.1, usd=1), candidate(0.2, usd=5)]

    decisions = decide(waiting, lambda _, usd: usd <= 3)

    assert [d.is_kept for d in decisions] == [False, True, False]


def test_anchors_come_before_articles_and_those_before_training() -> None:
    """Without anchors nobody could tell whose drift it is."""
    waiting = [
        candidate(0.0, purpose="training"),
        candidate(0.5, purpose="monitor"),
        candidate(0.9, purpose="anchor"),
        candidate(0.1, purpose="monitor"),
    ]

    decisions = decide(waiting, lambda n, _: n <= 2)

    assert decisions == [(False, 0.0), (False, 0.5), (True, 1.0), (True, 0.5)]


def test_estimates_weighted_by_the_effective_probability_are_unbiased() -> None:
    """Horvitz-Thompson over 4,000 days on which 20 of a changing number of requests fit: the sum
    over articles of two strata comes out right within four standard errors."""
    chance = random.Random(7)
    errors = []
    for _ in range(4_000):
        population = [(0.4, 1.0)] * 60 + [(0.8, 3.0)] * chance.randrange(5, 25)
        drawn = [(chance.random(), pi, value) for pi, value in population]
        selected = [(u, pi, value) for u, pi, value in drawn if u < pi]
        decisions = decide([candidate(u, pi) for u, pi, _ in selected], lambda n, _: n <= 20)
        estimate = sum(
            value / decision.effective_pi
            for (_, _, value), decision in zip(selected, decisions, strict=True)
            if decision.is_kept
        )
        errors.append(estimate - sum(value for _, value in population))

    mean = sum(errors) / len(errors)
    deviation = (sum((e - mean) ** 2 for e in errors) / len(errors)) ** 0.5
    assert abs(mean) < 4 * deviation / len(errors) ** 0.5
