"""Who goes without a label when the budget is short, and what that makes of the others."""

from __future__ import annotations

import random
from typing import Literal

import pytest

from newsieve.drift.label_fields import SMALLEST_PI
from newsieve.oracle.priority_sampling import Candidate, select_within_budget


def candidate(
    u: float,
    pi: float = 1.0,
    usd: float = 0.0,
    purpose: Literal["monitor", "training", "anchor"] = "monitor",
    source: str | None = None,
) -> Candidate:
    return Candidate(purpose, pi, u / pi, usd, source)


def test_while_the_budget_lasts_everybody_keeps_its_probability() -> None:
    """No cut, no trace of one."""
    decisions = select_within_budget(
        [candidate(0.1, 0.2), candidate(0.01, 0.02)], lambda n, _: n <= 2
    )

    assert [d[:2] for d in decisions] == [(True, 0.2), (True, 0.02)]


def test_the_highest_u_within_its_stratum_is_dropped_first() -> None:
    """Strata are thinned alike: u counts as a share of pi."""
    low = [candidate(u, 0.02) for u in (0.001, 0.011, 0.019)]
    surfaced = [candidate(u, 0.2) for u in (0.05, 0.15)]

    decisions = select_within_budget([*low, *surfaced], lambda n, _: n <= 3)

    assert [d.is_kept for d in decisions] == [True, True, False, True, False]
    # 0.15 / 0.2 is the first that is dropped: three quarters of every pi are left
    assert [d.effective_pi for d in decisions] == pytest.approx([0.015, 0.015, 0.015, 0.15, 0.15])


def test_with_nothing_left_the_probability_is_zero() -> None:
    """Of the rest of the day the sample knows nothing, and says so."""
    decisions = select_within_budget([candidate(0.1), candidate(0.2)], lambda _n, _: False)

    assert [d[:2] for d in decisions] == [(False, 0), (False, 0)]


def test_money_cuts_as_calls_do() -> None:
    """In the same order, at the first that does not fit."""
    waiting = [candidate(0.3, usd=1), candidate(0.1, usd=1), candidate(0.2, usd=5)]

    decisions = select_within_budget(waiting, lambda _, usd: usd <= 3)

    assert [d.is_kept for d in decisions] == [False, True, False]


def test_anchors_come_before_articles_and_those_before_training() -> None:
    """Without anchors nobody could tell whose drift it is."""
    waiting = [
        candidate(0.0, purpose="training"),
        candidate(0.5, purpose="monitor"),
        candidate(0.9, purpose="anchor"),
        candidate(0.1, purpose="monitor"),
    ]

    decisions = select_within_budget(waiting, lambda n, _: n <= 2)

    assert [d[:2] for d in decisions] == [(False, 0.0), (False, 0.5), (True, 1.0), (True, 0.5)]


def test_ids_chosen_for_a_draw_without_a_key_do_not_outweigh_all_others() -> None:
    """Whoever computes u finds some next to zero: what is kept has a probability that a drift
    monitor takes, at the least."""
    chosen = [candidate(u, 0.02, source="flood") for u in (0.0, 1e-18, 2e-18, 3e-18)]

    decisions = select_within_budget(chosen, lambda _n, _: True, lambda _s, n, _: n <= 2)

    assert [d.is_kept for d in decisions] == [True, True, False, False]
    assert all(0.02 > d.effective_pi >= SMALLEST_PI for d in decisions)


def test_estimates_weighted_by_the_effective_probability_are_unbiased() -> None:
    """Horvitz-Thompson over 4,000 days on which 20 of a changing number of requests fit: the sum
    over articles of two strata comes out right within four standard errors."""
    chance = random.Random(7)
    errors = []
    for _ in range(4_000):
        population = [(0.4, 1.0)] * 60 + [(0.8, 3.0)] * chance.randrange(5, 25)
        drawn = [(chance.random(), pi, value) for pi, value in population]
        selected = [(u, pi, value) for u, pi, value in drawn if u < pi]
        decisions = select_within_budget(
            [candidate(u, pi) for u, pi, _ in selected], lambda n, _: n <= 20
        )
        estimate = sum(
            value / decision.effective_pi
            for (_, _, value), decision in zip(selected, decisions, strict=True)
            if decision.is_kept
        )
        errors.append(estimate - sum(value for _, value in population))

    mean = sum(errors) / len(errors)
    deviation = (sum((e - mean) ** 2 for e in errors) / len(errors)) ** 0.5
    assert abs(mean) < 4 * deviation / len(errors) ** 0.5


def test_a_source_is_cut_by_itself_before_all_are_cut_together() -> None:
    """Its own threshold where that is lower, the common one where not; nobody pays for a flood."""
    flood = [candidate(u, source="flood") for u in (0.05, 0.2, 0.4, 0.6)]
    others = [candidate(u, source=name) for u, name in ((0.1, "a"), (0.3, "b"), (0.9, "c"))]

    decisions = select_within_budget(
        [*flood, *others], lambda n, _: n <= 4, lambda _s, n, _: n <= 2
    )

    assert [d.is_kept for d in decisions] == [True, True, False, False, True, True, False]
    assert [d.is_cut_by_source for d in decisions] == [False, False, True, True, *[False] * 3]
    # of the flood 0.4 is the first that does not fit, of what is left of all 0.9
    assert [d.effective_pi for d in decisions] == [0.4] * 4 + [0.9] * 3


def test_a_source_that_has_had_its_share_is_out_of_the_sample() -> None:
    """And says so; the others have all that is left."""
    waiting = [candidate(0.1, source="flood"), candidate(0.2, source="a"), candidate(0.3)]

    decisions = select_within_budget(
        waiting, lambda n, _: n <= 2, lambda source, _n, _: source != "flood"
    )

    assert [d[:2] for d in decisions] == [(False, 0.0), (True, 1.0), (True, 1.0)]


def test_estimates_are_unbiased_while_one_source_dominates() -> None:
    """Horvitz-Thompson over 4,000 days of 20 calls, of which one source, with most of the articles
    and with errors of its own, may have 5: the sums over its articles, and over the others', come
    out right within four standard errors; without the source's threshold hers would not."""
    chance = random.Random(11)
    errors: dict[str, list[float]] = {"flood": [], "others": [], "naive": []}
    for _ in range(4_000):
        population = [("flood", 0.4, 5.0)] * chance.randrange(40, 120)
        population += [(f"host-{n}", 0.4 if n % 2 else 0.8, 1.0 + n % 3) for n in range(40)]
        drawn = [(chance.random(), *item) for item in population]
        selected = [item for item in drawn if item[0] < item[2]]
        decisions = select_within_budget(
            [candidate(u, pi, source=source) for u, source, pi, _ in selected],
            lambda n, _: n <= 20,
            lambda _, n, __: n <= 5,
        )
        estimate = dict.fromkeys(errors, 0.0)
        for (_, source, pi, value), decision in zip(selected, decisions, strict=True):
            if decision.is_kept:
                whose = "flood" if source == "flood" else "others"
                estimate[whose] += value / decision.effective_pi
                estimate["naive"] += value / pi * (whose == "flood")
        truth = sum(value for source, _, value in population if source == "flood")
        errors["flood"].append(estimate["flood"] - truth)
        errors["naive"].append(estimate["naive"] - truth)
        rest = sum(value for source, _, value in population if source != "flood")
        errors["others"].append(estimate["others"] - rest)

    def is_unbiased(found: list[float]) -> bool:
        mean = sum(found) / len(found)
        deviation = (sum((e - mean) ** 2 for e in found) / len(found)) ** 0.5
        return bool(abs(mean) < 4 * deviation / len(found) ** 0.5)

    assert {name: is_unbiased(found) for name, found in errors.items()} == {
        "flood": True,
        "others": True,
        "naive": False,
    }
