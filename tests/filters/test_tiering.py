"""Decisions, held against plain reference implementations of the definitions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsieve.filters.registry import Filter
from newsieve.filters.tiering import round_scores

SCORES = st.one_of(
    st.integers(0, 10).map(float),
    st.integers(0, 100_000).map(lambda n: n / 10_000),
    st.sampled_from([2.5, 4.5, 4.4999, 5.5, 6.5, 7.4999, 2.4999]),
)
EIGHT = st.lists(SCORES, min_size=8, max_size=8)
CAPS = st.sets(st.sampled_from(["corporate_finance", "military_security", "business_news"]))


def half_up(score: float) -> int:
    return math.floor(score + 0.5)


def decide_uplifting(scores: Sequence[float], rules: set[str]) -> tuple[str, float, set[str]]:
    """The definition, in exact integer arithmetic: tier, score, names of gates and caps."""
    units = [round(score * 10_000) for score in scores]
    weights = [14, 19, 38, 10, 8, 3, 3, 5]
    average = sum(w * u for w, u in zip(weights, units, strict=True))  # in millionths
    benefit, wonder = half_up(scores[2]), half_up(scores[7])
    limits = {}
    if benefit < 5 and not (wonder >= 7 and benefit >= 3):
        limits["collective_benefit"] = 3_000_000
    if "corporate_finance" in rules:
        limits["corporate_finance"] = 2_000_000
    if "military_security" in rules:
        limits["military_security"] = 4_000_000
    if "business_news" in rules and benefit < 6:
        limits["business_news"] = 4_000_000
    score = min([average, *limits.values()])
    tier = (
        "impact" if score >= 7_000_000 else "connection" if score >= 4_000_000 else "not_uplifting"
    )
    return tier, score / 1e6, {name for name, limit in limits.items() if limit < average}


def decide_investment_risk(scores: Sequence[float]) -> tuple[str, float]:
    """The definition: tier and strength."""
    macro, credit, sentiment, valuation, _, systemic, evidence, action = map(half_up, scores)
    units = [round(score * 10_000) for score in scores]
    weights = [25, 20, 15, 15, 10, 15, 0, 0]
    strength = sum(w * u for w, u in zip(weights, units, strict=True)) / 1e6
    if evidence < 3:
        return "noise", 0.0
    if (macro >= 7 or credit >= 7 or systemic >= 8) and evidence >= 5 and action >= 5:
        return "red", strength
    if (macro in (5, 6) or credit in (5, 6) or valuation >= 7) and evidence >= 5 and action >= 4:
        return "yellow", strength
    if sentiment >= 7 and valuation <= 3 and evidence >= 6 and action >= 5:
        return "green", strength
    if evidence >= 5 and action >= 3:
        return "blue", strength
    return "noise", 0.0


@given(st.lists(st.tuples(EIGHT, CAPS), min_size=1, max_size=8))
def test_uplifting_decides_as_its_definition(
    uplifting: Filter, articles: list[tuple[list[float], set[str]]]
) -> None:
    """Gate, exception, caps, rounding and the tolerance, for any batch."""
    scores = np.array([row for row, _ in articles])

    decided = uplifting.tiering.decide(scores, [rules for _, rules in articles])

    for at, (row, rules) in enumerate(articles):
        tier, score, held = decide_uplifting(row, rules)
        assert decided.tier[at] == tier
        assert decided.score[at] == pytest.approx(score, abs=1e-9)
        assert {*decided.gates[at], *decided.caps[at]} == held


@given(EIGHT)
def test_investment_risk_decides_as_its_definition(
    investment_risk: Filter, scores: list[float]
) -> None:
    """Every condition compares scores rounded half up; noise has no strength."""
    decided = investment_risk.tiering.decide(np.array([scores]), [()])

    tier, strength = decide_investment_risk(scores)
    assert decided.tier == [tier]
    assert decided.score[0] == pytest.approx(strength, abs=1e-9)
    assert decided.weighted_average == decided.score


@given(EIGHT)
def test_sustainability_has_equal_weights_and_two_thresholds(
    sustainability: Filter, scores: list[float]
) -> None:
    """High from 5, medium from 4, exactly."""
    units = sum(round(score * 10_000) for score in scores)

    decided = sustainability.tiering.decide(np.array([scores]), [()])

    expected = "high" if units >= 400_000 else "medium" if units >= 320_000 else "low"
    assert decided.tier == [expected]


@given(st.lists(EIGHT, min_size=2, max_size=9), st.integers(0, 8))
def test_an_articles_decision_does_not_depend_on_its_batch(
    uplifting: Filter, rows: list[list[float]], pick: int
) -> None:
    """To the last bit of the average."""
    at = pick % len(rows)

    together = uplifting.tiering.decide(np.array(rows), [()] * len(rows))
    alone = uplifting.tiering.decide(np.array([rows[at]]), [()])

    assert together.weighted_average[at] == alone.weighted_average[0]
    assert together.tier[at] == alone.tier[0]


def test_a_record_alone_reproduces_its_decision() -> None:
    """Rounding a published score again changes nothing."""
    raw = np.random.default_rng(1).uniform(-1, 11, (500, 8))

    once = round_scores(raw)

    assert (round_scores(once) == once).all()
    assert ((once >= 0) & (once <= 10)).all()
    assert all(len(repr(score).partition(".")[2]) <= 4 for score in once.ravel().tolist())


def test_a_score_that_is_not_finite_stays_visible() -> None:
    """Clamping must not turn it into a number."""
    assert np.isnan(round_scores(np.array([[np.nan]]))).all()


def test_half_points_round_up_not_to_even(uplifting: Filter) -> None:
    """4.5 reaches a limit of 5; Python's round would say 4."""
    scores = np.array([[10, 10, 4.5, 10, 10, 10, 10, 0], [10, 10, 4.4999, 10, 10, 10, 10, 0]])

    decided = uplifting.tiering.decide(scores, [(), ()])

    assert decided.gates == [(), ("collective_benefit",)]


def test_an_average_that_a_binary_sum_misses_still_reaches_its_limit(uplifting: Filter) -> None:
    """An exact 4 or 7 in integer scores counts, whatever its floats add up to."""
    weights = np.array([14, 19, 38, 10, 8, 3, 3, 5])
    vectors = np.random.default_rng(7).integers(0, 11, (200_000, 8))
    benefit = vectors[:, 2] >= 5  # the gate stays open
    for level, tier in ((4, "connection"), (7, "impact")):
        exact = vectors[benefit & (vectors @ weights == 100 * level)].astype(float)
        assert ((exact @ (weights / 100)) < level).any(), "the tolerance would not matter"

        decided = uplifting.tiering.decide(exact, [()] * len(exact))

        assert set(decided.tier) == {tier}
        assert set(decided.score) == {float(level)}
