"""Calibration and the probability of a tier, as the worker applies them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsieve.filters.calibration import (
    NO_CALIBRATION,
    Calibration,
    Confidence,
    Curve,
    Residuals,
    ScoreCalibration,
)
from newsieve.filters.registry import Filter

CURVE = Curve([1.0, 2.0, 6.0], [0.0, 4.0, 5.0])


@given(st.lists(st.floats(-5, 15), min_size=2, max_size=40))
def test_a_curve_keeps_the_order_of_scores(raw: list[float]) -> None:
    """Never falling, within its ends, straight between its points."""
    scores = np.array(sorted(raw))[:, None]

    found = Calibration(["a"], {"a": CURVE}).apply(scores)[:, 0]

    assert (np.diff(found) >= 0).all()
    assert found.min() >= 0 and found.max() <= 5


def test_only_dimensions_with_a_curve_change() -> None:
    """And the raw scores are left alone."""
    raw = np.array([[1.5, 1.5], [0.0, 4.0], [9.0, 9.0]])
    before = raw.copy()

    found = Calibration(["a", "b"], {"b": CURVE}).apply(raw)

    assert found.tolist() == [[1.5, 2.0], [0.0, 4.5], [9.0, 5.0]]
    assert (raw == before).all()


def residuals(errors: list[list[float]], averages: list[float], neighbours: int) -> Residuals:
    return Residuals(np.array(averages), np.array(errors), neighbours)


def test_the_probability_is_the_share_of_residuals_that_keep_the_tier(
    sustainability: Filter,
) -> None:
    """Plus one success and one failure: low below 4, medium below 5, of equal weights."""
    errors = [[delta] * 8 for delta in (-1.0, -0.3, 0.0, 0.2, 0.4, 0.5, 1.2, 2.0)]
    confidence = Confidence(sustainability.tiering, residuals(errors, [3.0] * 8, neighbours=8))
    scores = np.array([[3.7] * 8, [4.2] * 8])

    found = confidence.of(scores, [[], []], ["low", "medium"])

    # 3.7: four stay below 4, at 3.9 the last; 4.2: those from 4.2 to 4.7 are medium.
    assert found == [0.5, 0.5]


def test_only_the_residuals_of_the_nearest_averages_count(sustainability: Filter) -> None:
    """A student that is sure of low articles and wrong about high ones."""
    errors = [[0.0] * 8] * 20 + [[-2.0] * 8] * 20
    averages = [1.0 + at / 100 for at in range(20)] + [6.0 + at / 100 for at in range(20)]
    confidence = Confidence(sustainability.tiering, residuals(errors, averages, neighbours=20))

    found = confidence.of(np.array([[0.5] * 8, [6.1] * 8]), [[], []], ["low", "high"])

    assert found == [0.95, 0.05]


def test_gates_caps_and_the_ends_of_the_scale_count(uplifting: Filter) -> None:
    """An article that a content rule caps has its tier for sure; scores stay within 0 and 10."""
    errors = [[delta] * 8 for delta in (-3.0, 0.0, 3.0, 9.0)]
    confidence = Confidence(uplifting.tiering, residuals(errors, [5.0] * 4, neighbours=4))
    scores = np.array([[6.5] * 8, [6.5] * 8])

    found = confidence.of(scores, [["corporate_finance"], []], ["not_uplifting", "connection"])

    assert found == [pytest.approx(5 / 6, abs=0.01), pytest.approx(2 / 6, abs=0.01)]


def test_without_a_calibration_scores_are_raw_and_nothing_is_claimed() -> None:
    """As with a student that carries none."""
    raw = np.array([[1.0, 2.0]])

    assert NO_CALIBRATION.scores(raw) is raw
    assert NO_CALIBRATION.confidences(raw, [[]], ["low"]) == [None]


def test_a_calibration_does_not_depend_on_the_batch(uplifting: Filter) -> None:
    """An article's figures are the same alone and among others."""
    chance = np.random.default_rng(1)
    names = uplifting.definition.dimension_names
    known = Residuals(np.sort(chance.uniform(0, 10, 200)), chance.normal(0, 1, (200, 8)), 50)
    calibration = ScoreCalibration(
        Calibration(names, {names[0]: CURVE}), Confidence(uplifting.tiering, known)
    )
    raw = chance.uniform(0, 10, (30, 8))
    scores = calibration.scores(raw).round(4)
    tiers = uplifting.tiering.decide(scores, [[]] * 30).tier

    together = calibration.confidences(scores, [[]] * 30, tiers)

    for at in range(30):
        alone = calibration.scores(raw[at : at + 1]).round(4)
        assert (alone == scores[at]).all()
        assert calibration.confidences(alone, [[]], tiers[at : at + 1]) == [together[at]]
