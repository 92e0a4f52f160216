"""The closed grammar of conditions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsieve.filters.conditions import And, Comparison, ConditionError, Not, Or, parse_condition


def values(**named: float) -> dict[str, np.ndarray]:
    return {name: np.array([value]) for name, value in named.items()}


def holds(text: str, **named: float) -> bool:
    return bool(parse_condition(text).holds(values(**named))[0])


def test_and_binds_tighter_than_or() -> None:
    """a or b and c is a or (b and c)."""
    parsed = parse_condition("a > 1 or b > 1 and c > 1")

    assert parsed == Or(
        (
            Comparison("a", ">", 1),
            And((Comparison("b", ">", 1), Comparison("c", ">", 1))),
        )
    )


def test_not_binds_tightest_and_parentheses_group() -> None:
    """not applies to the next factor only."""
    assert parse_condition("not a > 1 and b > 1") == And(
        (Not(Comparison("a", ">", 1)), Comparison("b", ">", 1))
    )
    assert parse_condition("not (a > 1 and b > 1)") == Not(
        And((Comparison("a", ">", 1), Comparison("b", ">", 1)))
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "agency",
        "agency >",
        "agency > agency",
        "1 < agency",
        "agency == 3",
        "agency > 3 and",
        "(agency > 3",
        "agency > 3)",
        "agency > 3 or or agency > 4",
        "__import__('os')",
        "agency > 3; wonder > 2",
        "agency > -1",
        "and > 3",
        "(" * 400 + "a > 1" + ")" * 400,
    ],
)
def test_what_is_not_in_the_grammar_is_refused(text: str) -> None:
    """Nothing is evaluated as code, and nothing is guessed."""
    with pytest.raises(ConditionError, match="in condition"):
        parse_condition(text)


def test_a_dimension_is_compared_exactly_and_an_average_within_the_tolerance() -> None:
    """A binary sum that misses 4 by its last bit still reaches 4; a dimension must reach it."""
    just_below = np.nextafter(4.0, 0)

    assert holds("score >= 4", score=just_below)
    assert not holds("score < 4", score=just_below)
    assert not holds("score > 4", score=np.nextafter(4.0, 9))
    assert holds("average <= 4", average=np.nextafter(4.0, 9))
    assert not holds("agency >= 4", agency=just_below)
    assert not holds("score >= 4", score=4 - 1e-7)


CONDITIONS = st.recursive(
    st.builds(
        Comparison,
        st.sampled_from(["agency", "wonder", "average"]),
        st.sampled_from(["<", "<=", ">", ">="]),
        st.integers(0, 100).map(lambda tenths: tenths / 10),
    ),
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.tuples(inner, inner))
        | st.builds(Or, st.tuples(inner, inner))
    ),
    max_leaves=6,
)


@given(CONDITIONS, st.lists(st.integers(0, 10), min_size=3, max_size=3))
def test_the_canonical_text_of_a_condition_means_the_same(
    condition: And, scores: list[int]
) -> None:
    """What the filter hash is made of can be read back."""
    named = values(agency=scores[0], wonder=scores[1], average=scores[2])

    again = parse_condition(str(condition))

    assert again.holds(named) == condition.holds(named)
    assert str(parse_condition(str(again))) == str(again)
