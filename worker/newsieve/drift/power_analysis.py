"""The drift that a rate of labels can find: arithmetic with measured medians."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

# Labels until an alert (median) by rise of the mean absolute error, in score points, with 500
# reference rows: benchmarks/drift_simulation.py.
LABELS_TO_FIND: Final = ((0.1, 702), (0.2, 186), (0.5, 48))
ANCHOR_SHARE: Final = 0.25  # of oracle calls: one in four labels an anchor
STRATA: Final = 2


def labels_a_day(calls_a_day: float, filters: int) -> float:
    """Return the labels that each monitor gets from a budget of oracle calls, less those of
    anchors."""
    return calls_a_day * (1 - ANCHOR_SHARE) / (filters * STRATA)


def days_until_found(rise: float, labels_a_day: float) -> float:
    """Return the median time to find one of the measured rises. Raises KeyError for another."""
    return dict(LABELS_TO_FIND)[rise] / labels_a_day


def rise_found_within(labels: float) -> str:
    """Return the smallest rise that so many labels find, as words that go before "is found".

    Between the measured points it is interpolated in logarithms.
    """
    largest, fewest = LABELS_TO_FIND[-1]
    if labels < fewest:
        return f"no rise of the error below +{largest}"
    for (small, many), (large, few) in pairwise(LABELS_TO_FIND):
        if few <= labels <= many:
            share = math.log(labels / few) / math.log(many / few)
            rise = math.exp(math.log(large) + share * math.log(small / large))
            return f"a rise of the error by +{rise:.2f}"
    return f"a rise of the error by +{LABELS_TO_FIND[0][0]}"
