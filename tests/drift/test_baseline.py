"""Baselines: upper limits of weighted means, from sums instead of rows."""

from __future__ import annotations

import json
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsieve.drift.baseline import Baseline, BaselineAccumulator, hajek, rate_limit
from tests.support.drift import STREAMS, draws, labels, plain_limits

COUNT = len(STREAMS.names)
some_rows = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0.001, 1)), min_size=2, max_size=30
)  # a stream's value, an inclusion probability


def tally_of(rows: list[tuple[float, float]]) -> BaselineAccumulator:
    tally = BaselineAccumulator(COUNT)
    for value, pi in rows:
        tally.add(np.full(COUNT, value), pi)
    return tally


def test_limits_are_the_hajek_mean_and_1645_errors() -> None:
    """Of real rows with inclusion probabilities of all sizes, as plain Python has them."""
    rng = random.Random(1)
    rows = [{**row, "pi": rng.choice([0.01, 0.2, 1])} for row in draws(1, 200)]
    tally = BaselineAccumulator(COUNT)
    for label in labels(rows):
        assert label.values is not None
        tally.add(label.values, label.pi)

    baseline = tally.baseline(STREAMS)

    expected = plain_limits(rows)
    assert dict(zip(STREAMS.names, baseline.limits, strict=True)) == pytest.approx(expected)
    assert (baseline.pi_min, baseline.labels) == (0.01, 200)
    assert baseline.bet_share(0.02) == 0.5
    assert baseline.bet_share(0.001) == 1  # rarer than any row of the reference


@given(some_rows, st.floats(0.01, 1))
def test_only_ratios_of_probabilities_count(rows: list[tuple[float, float]], by: float) -> None:
    """A sample half as dense is the same sample."""
    usual = tally_of(rows).baseline(STREAMS)
    thinner = tally_of([(value, pi * by) for value, pi in rows]).baseline(STREAMS)

    assert thinner.limits == pytest.approx(usual.limits, rel=1e-6, abs=1e-9)


@given(some_rows)
def test_sums_tell_what_rows_do(rows: list[tuple[float, float]]) -> None:
    """The estimate from sums is the estimate from rows."""
    values = np.array([[value] for value, _ in rows])
    expected = hajek(values, np.array([1 / pi for _, pi in rows]))
    limit = expected.mean[0] + 1.645 * expected.error[0]

    found = tally_of(rows).baseline(STREAMS)

    assert found.means[0] == pytest.approx(expected.mean[0], abs=1e-9)
    if limit > 1e-6:
        assert found.limits[0] == pytest.approx(limit, rel=1e-6, abs=1e-7)


def test_a_stream_that_never_left_its_lowest_value_has_a_limit_above_it() -> None:
    """Or the first error would be an infinite bet: it gets the limit of a rate never seen."""
    tally = tally_of([(0.0, 1.0)] * 100)

    limits = dict(zip(STREAMS.names, tally.baseline(STREAMS).limits, strict=True))

    unseen = 1 - 0.05 ** (1 / 100)
    assert limits["tier"] == pytest.approx(unseen)
    assert limits["mae"] == pytest.approx(10 * unseen)
    assert limits["bias+"] == 0  # far from its lowest value, -4


@pytest.mark.parametrize("trials", [1, 10, 500])
def test_a_rate_never_seen_has_the_limit_of_the_rule(trials: int) -> None:
    """1 − 0.05^(1/n); never 0."""
    assert rate_limit(0, trials) == pytest.approx(1 - 0.05 ** (1 / trials))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400), st.data())
def test_a_rates_limit_is_exact(trials: int, data: st.DataObject) -> None:
    """With that rate, as few failures or fewer have a probability of 5 %."""
    failures = data.draw(st.integers(0, trials - 1))

    limit = rate_limit(failures, trials)

    ways = (math.comb(trials, k) * limit**k * (1 - limit) ** (trials - k)
            for k in range(failures + 1))  # fmt: skip
    assert sum(ways) == pytest.approx(0.05, rel=1e-6)
    assert rate_limit(trials, trials) == 1


def test_failures_are_part_of_the_baseline() -> None:
    """Two in a hundred rows."""
    tally = tally_of([(0.5, 1.0)] * 98)
    tally.add(None, 1.0)
    tally.add(None, 1.0)

    baseline = tally.baseline(STREAMS)

    assert baseline.fail_rate == 0.02
    assert baseline.fail_limit == rate_limit(2, 100)


def test_accumulator_and_baseline_survive_a_snapshot() -> None:
    """Bit by bit."""
    tally = tally_of([(0.1, 0.3), (0.7, 0.2), (0.4, 1.0)])
    tally.add(None, 1.0)

    again = BaselineAccumulator.restore(json.loads(json.dumps(tally.snapshot())))
    again.add(np.full(COUNT, 0.9), 0.4)
    tally.add(np.full(COUNT, 0.9), 0.4)

    mine, its = tally.baseline(STREAMS), again.baseline(STREAMS)
    restored = Baseline.restore(json.loads(json.dumps(mine.snapshot())))
    for other in (its, restored):
        assert np.array_equal(mine.limits, other.limits)
        assert np.array_equal(mine.means, other.means)
        assert mine.fail_limit == other.fail_limit
