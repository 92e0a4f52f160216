"""What is watched of a labelled article."""

from __future__ import annotations

import numpy as np
import pytest

from newsieve.drift.error_streams import ComparedBatch, ErrorStreams
from tests.support.drift import DIMENSIONS, PAIRS, STREAMS, plain_streams, plain_weights, tier_of
from tests.support.filters import BUILTIN, load

STUDENT = np.array([[pair["student"][name] for name in DIMENSIONS] for pair in PAIRS])
ORACLE = np.array([[pair["oracle"][name] for name in DIMENSIONS] for pair in PAIRS], dtype=float)


def compare(student: np.ndarray, oracle: np.ndarray, *rules: str) -> ComparedBatch:
    return STREAMS.compare(student, oracle, [rules] * len(student))


@pytest.mark.parametrize("reference", BUILTIN.references)
def test_a_filter_of_d_dimensions_has_3d_and_5_streams(reference: str) -> None:
    """Their weights sum to one."""
    filter_ = load(reference)
    streams = ErrorStreams(filter_)

    assert len(streams.names) == 3 * len(filter_.definition.dimensions) + 5
    assert len(set(streams.names)) == len(streams.names)
    assert streams.weights.sum() == pytest.approx(1, abs=1e-12)
    assert {"mae", "tier"} <= set(streams.names)
    for array in (streams.weights, streams.lowest, streams.highest):
        assert array.shape == (len(streams.names),)


def test_the_streams_of_real_pairs_are_the_formulas() -> None:
    """Written out in plain Python beside them; weights too."""
    found = compare(STUDENT, ORACLE)

    for pair, values, is_surfaced in zip(PAIRS, found.values, found.surfaced, strict=True):
        expected = plain_streams(pair)
        assert dict(zip(STREAMS.names, values, strict=True)) == pytest.approx(expected)
        assert is_surfaced == (tier_of(pair["student"]) != "not_uplifting")
    weights = dict(zip(STREAMS.names, STREAMS.weights, strict=True))
    assert weights == pytest.approx(plain_weights())


def test_a_label_does_not_depend_on_its_batch() -> None:
    """Bit by bit, or a resumed monitor would go another way than an unbroken one."""
    together = compare(STUDENT, ORACLE).values

    for size in (1, 2, 7):
        parts = [
            compare(STUDENT[at : at + size], ORACLE[at : at + size]).values
            for at in range(0, len(STUDENT), size)
        ]
        assert np.array_equal(np.concatenate(parts), together)


def test_student_scores_are_clamped_and_biases_clipped() -> None:
    """A student that says 25 says 10; a bias beyond four points is one of four."""
    found = compare(np.full((1, 8), 25.0), np.zeros((1, 8)))
    below = compare(np.full((1, 8), -25.0), np.full((1, 8), 10.0))

    values = dict(zip(STREAMS.names, found.values[0], strict=True))
    assert (values["mae"], values["abs:wonder"], values["wabs"]) == pytest.approx((10, 10, 10))
    assert (values["bias+"], values["bias-"], values["b+:agency"], values["b-:agency"]) == (
        4, -4, 4, -4,
    )  # fmt: skip
    assert below.values[0][STREAMS.names.index("bias-")] == 4


def test_a_cap_holds_for_both_sides() -> None:
    """Content rules are the text's: a cap cannot make student and oracle differ."""
    high, higher = np.full((1, 8), 6.0), np.full((1, 8), 8.0)

    tier = STREAMS.names.index("tier")
    for rules, differs in (((), 1), (("corporate_finance",), 0)):
        found = compare(high, higher, *rules)
        assert found.tier_differs[0] == found.values[0][tier] == differs
    assert compare(high, higher).surfaced == [True]
    assert compare(high, higher, "corporate_finance").surfaced == [False]
