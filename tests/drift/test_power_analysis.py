"""What drift a rate of labels can find."""

from __future__ import annotations

import pytest

from newsieve.drift.power_analysis import days_until_found, labels_a_day, rise_found_within


def test_a_hundred_calls_a_day_for_two_filters_take_ten_days_for_a_fifth_of_a_point() -> None:
    """Less anchors, over two strata each: 19 labels a day for a monitor."""
    per_day = labels_a_day(100, 2)

    assert round(per_day) == 19
    assert days_until_found(0.2, per_day) == pytest.approx(9.9, abs=0.1)


@pytest.mark.parametrize(
    ("labels", "rise"),
    [
        (0, "no rise of the error below +0.5"),
        (47, "no rise of the error below +0.5"),
        (48, "a rise of the error by +0.50"),
        (186, "a rise of the error by +0.20"),
        (400, "a rise of the error by +0.13"),
        (702, "a rise of the error by +0.10"),
        (10_000, "a rise of the error by +0.1"),
    ],
)
def test_more_labels_find_smaller_rises(labels: float, rise: str) -> None:
    """Measured at three points; between them on straight lines of logarithms."""
    assert rise_found_within(labels) == rise
