"""The algebra of bets."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsieve.drift.e_detector import FRACTIONS, EDetectorBank, RecoveryTest

values = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(np.array)
streams_of_labels = st.lists(values, min_size=1, max_size=30)
LIMITS = np.array([0.2, 0.5, 0.8])
LOWEST = np.zeros(3)
ENDLESS = np.full(3, np.inf)


def bank(limits: np.ndarray = LIMITS, lowest: np.ndarray = LOWEST) -> EDetectorBank:
    return EDetectorBank(limits, lowest, np.full(limits.shape, np.inf))


def evidence_of(labels: Sequence[np.ndarray], u: float = 1.0) -> np.ndarray:
    found = bank()
    for at, x in enumerate(labels):
        found.step(x, u, at)
    return found.evidence()


@given(streams_of_labels, st.floats(0.01, 1))
def test_capital_grows_as_the_recursion_says(labels: list[np.ndarray], u: float) -> None:
    """M ← (M + 1)(1 + λ·u·(x − m0)), the mean over bets."""
    capital = np.zeros((3, 8))
    for x in labels:
        for row in range(3):
            for bet, fraction in enumerate(FRACTIONS):
                stake = fraction / LIMITS[row]
                growth = 1 + stake * u * (x[row] - LIMITS[row])
                capital[row, bet] = (capital[row, bet] + 1) * growth

    assert evidence_of(labels, u) == pytest.approx(capital.mean(axis=1))


def test_the_bets_are_log_spaced() -> None:
    """Eight, from 0.02 to 0.75 of what can be staked."""
    ratios = FRACTIONS[1:] / FRACTIONS[:-1]

    assert (len(FRACTIONS), FRACTIONS[0], FRACTIONS[-1]) == (8, 0.02, 0.75)
    assert ratios == pytest.approx(ratios[0])


@given(st.floats(0.05, 0.95), st.floats(0.01, 1))
def test_a_healthy_stream_gains_nothing_on_average(limit: float, u: float) -> None:
    """Of a coin whose mean is the limit, the next capital is M + 1 on average: M − n is a
    martingale, and the guarantee rests on it."""
    limits, lowest = np.array([limit]), np.zeros(1)
    won, lost = (bank(limits, lowest) for _ in range(2))
    for found in (won, lost):
        for x in (1.0, 0.0, 0.0):
            found.step(np.array([x]), u, 0)
    before = won.evidence()[0]
    won.step(np.ones(1), u, 1)
    lost.step(np.zeros(1), u, 1)

    after = limit * won.evidence()[0] + (1 - limit) * lost.evidence()[0]

    assert after == pytest.approx(before + 1)


@given(streams_of_labels)
def test_no_bet_loses_everything(labels: list[np.ndarray]) -> None:
    """Capital stays positive, whatever comes."""
    assert (evidence_of(labels) > 0).all()


@given(streams_of_labels, st.permutations(range(3)))
def test_rows_do_not_know_each_other(labels: list[np.ndarray], order: list[int]) -> None:
    """In another order they come to the same."""
    other = bank(LIMITS[order])
    for at, x in enumerate(labels):
        other.step(x[order], 1.0, at)

    assert np.array_equal(other.evidence(), evidence_of(labels)[order])


@given(streams_of_labels, st.floats(0.1, 50))
def test_the_unit_does_not_matter(labels: list[np.ndarray], unit: float) -> None:
    """Points or tenths of points: the evidence is the same."""
    other = bank(LIMITS * unit, LOWEST * unit)
    for at, x in enumerate(labels):
        other.step(x * unit, 1.0, at)

    assert other.evidence() == pytest.approx(evidence_of(labels))


@given(streams_of_labels, st.floats(-5, 5))
def test_nor_does_the_origin(labels: list[np.ndarray], origin: float) -> None:
    """A stream from −4 on is one from 0 on, moved."""
    other = bank(LIMITS + origin, LOWEST + origin)
    for at, x in enumerate(labels):
        other.step(x + origin, 1.0, at)

    assert other.evidence() == pytest.approx(evidence_of(labels), rel=1e-6)


@given(streams_of_labels, st.lists(st.booleans(), min_size=30, max_size=30))
def test_a_missing_value_leaves_its_row_as_it_is(
    labels: list[np.ndarray], missing: list[bool]
) -> None:
    """Bit by bit; the other rows go on."""
    with_holes, shorter, whole = bank(), bank(), bank()
    for at, (x, is_missing) in enumerate(zip(labels, missing, strict=False)):
        with_holes.step(np.array([np.nan, x[1], x[2]]) if is_missing else x, 1.0, at)
        whole.step(x, 1.0, at)
        if not is_missing:
            shorter.step(x, 1.0, at)

    assert with_holes.evidence()[0] == shorter.evidence()[0]
    assert np.array_equal(with_holes.evidence()[1:], whole.evidence()[1:])
    assert with_holes.snapshot()["since"] is not None


@settings(max_examples=30)
@given(streams_of_labels, st.integers(0, 30))
def test_a_bank_resumes_bit_by_bit(labels: list[np.ndarray], cut: int) -> None:
    """Through JSON, at any label."""
    unbroken, broken = bank(), bank()
    for at, x in enumerate(labels):
        if at == cut:
            facts = json.loads(json.dumps(broken.snapshot()))
            broken = bank()
            broken.resume(facts)
        unbroken.step(x, 1.0, at)
        broken.step(x, 1.0, at)

    assert broken.snapshot() == unbroken.snapshot()


def test_side_by_side_banks_are_banks() -> None:
    """Leading dimensions, as simulations use them."""
    rng = np.random.default_rng(1)
    labels = rng.random((20, 2, 3))
    both = EDetectorBank(np.stack([LIMITS, LIMITS / 2]), np.zeros((2, 3)), np.full((2, 3), np.inf))
    for at, x in enumerate(labels):
        both.step(x, 1.0, at)

    alone = bank()
    for at, x in enumerate(labels[:, 0]):
        alone.step(x, 1.0, at)
    assert np.array_equal(both.evidence()[0], alone.evidence())
    both.reset(np.array([True, False]))
    assert not both.evidence()[0].any() and both.evidence()[1].all()


def test_the_onset_is_where_the_rise_began() -> None:
    """Of a stream that goes up at label 100."""
    rng = np.random.default_rng(2)
    found = bank(np.array([0.55]), np.zeros(1))
    for at in range(160):
        mean = 0.5 if at < 100 else 0.9
        found.step(np.array([float(rng.random() < mean)]), 1.0, at)

    low, high = found.onset(0)

    assert 80 <= low <= high <= 115


def test_capital_stops_at_its_ceiling() -> None:
    """What has been certain for long is seen to end."""
    found = EDetectorBank(np.array([0.5]), np.zeros(1), np.array([1_000.0]))
    for at in range(500):
        found.step(np.ones(1), 1.0, at)
    assert found.evidence()[0] == pytest.approx(1_000)

    for at in range(60):
        found.step(np.zeros(1), 1.0, at)

    assert found.evidence()[0] < 500


def recovery(*limits: float) -> RecoveryTest:
    count = len(limits)
    return RecoveryTest(np.array(limits), np.full(count, 10.0), np.full(count, 0.1))


@given(st.lists(st.floats(0, 10), min_size=1, max_size=30), st.floats(0.01, 1))
def test_recovery_bets_that_the_mean_is_down_again(xs: list[float], u: float) -> None:
    """Payoff 1 + λ·u·(m − x), m = m0 + 0.1, x clipped at 4, λ = f/(4 − m)."""
    found = recovery(1.0)
    capital = np.zeros(8)
    for x in xs:
        found.step(np.array([x]), u)
        stakes = np.geomspace(0.2, 0.75, 8) / (4 - 1.1)
        capital = (capital + 1) * (1 + stakes * u * (1.1 - min(x, 4)))

    assert found.evidence() == pytest.approx(capital.mean())


def test_recovery_needs_all_blamed_streams() -> None:
    """A bias that stays is no recovery, however small the error is."""
    found = recovery(1.0, 1.0)
    for _ in range(400):
        found.step(np.array([0.5, 1.2]), 1.0)
    assert found.evidence() < 100

    for _ in range(400):
        found.step(np.array([0.5, 0.5]), 1.0)

    assert found.evidence() > 2_000


def test_recovery_works_where_the_clip_would_leave_no_room() -> None:
    """A student whose limit is near 4 or above it: no bet turns its sign."""
    for limit in (3.5, 4.2, 9.95):
        drifting = recovery(limit)
        for _ in range(1_000):
            drifting.step(np.array([limit + 0.1]), 1.0)
        assert drifting.evidence() <= 1_001


def test_a_recovery_resumes_bit_by_bit() -> None:
    """Its capital is all there is."""
    found, again = recovery(1.0, 0.8), recovery(1.0, 0.8)
    found.step(np.array([0.7, 0.9]), 0.3)
    again.resume(json.loads(json.dumps(found.snapshot())))
    for part in (found, again):
        part.step(np.array([np.nan, 0.2]), 1.0)

    assert found.snapshot() == again.snapshot()
