"""Label rows in every accepted shape, and none that has to be guessed at."""

from __future__ import annotations

from typing import Any

import pytest

from newsieve_training.data.label_formats import BadLabel, labels_of

NAMES = ("agency", "wonder")
FLAT = {"agency": 7, "wonder": 0}
NESTED = {"agency": {"score": 7, "evidence": "…"}, "wonder": {"score": 0}}
POSITIONAL = {"oracle": "o", "scored_at": "…", "scores": [0, 7]}


@pytest.mark.parametrize(
    ("row", "oracles"),
    [
        (FLAT, [""]),
        (NESTED, [""]),
        ({"oracle_scores": FLAT}, [""]),
        ({"oracle_scores": [{"oracle": "x", **FLAT}, {"oracle": "y", **NESTED}]}, ["x", "y"]),
        ({"uplifting_analysis": NESTED}, [""]),
        ({"uplifting_analysis": {"oracle": "z", **FLAT}}, ["z"]),
        ({"dimensions": ["wonder", "agency"], "oracle_scores": POSITIONAL}, ["o"]),
        ({"dimensions": ["wonder", "agency"], "oracle_scores": [POSITIONAL] * 2}, ["o", "o"]),
        ({"oracle_scores": {"scores": FLAT}}, [""]),
        ({"agency": 7.0, "wonder": 0.0}, [""]),
    ],
)
def test_every_shape_gives_the_same_label(row: dict[str, Any], oracles: list[str]) -> None:
    """Flat, nested or positional; at the top, under oracle_scores, under the analysis."""
    found = labels_of(row, "uplifting", NAMES)

    assert [label.oracle for label in found] == oracles
    assert {label.scores for label in found} == {(7, 0)}


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({}, "no label"),
        ({"agency": 7}, "wonder: the dimension is missing"),
        ({**FLAT, "wonder": 2.5}, "wonder: 2.5 is not an integer"),
        ({**FLAT, "wonder": "5"}, "wonder: '5' is not an integer"),
        ({**FLAT, "wonder": True}, "wonder: True is not an integer"),
        ({**FLAT, "wonder": None}, "wonder: None is not an integer"),
        ({**FLAT, "wonder": {"evidence": "x"}}, "wonder: None is not an integer"),
        ({**FLAT, "wonder": 11}, "wonder: 11 is outside 0-10"),
        ({**FLAT, "wonder": -1}, "wonder: -1 is outside 0-10"),
        ({"oracle_scores": "x"}, "oracle_scores: not an object"),
        ({"oracle_scores": [FLAT, 5]}, r"oracle_scores\[1\]: not an object"),
        ({"oracle_scores": {"scores": [1, 2]}}, "oracle_scores.scores: not one score for each"),
        ({"dimensions": ["agency"], "oracle_scores": {"scores": [1, 2]}}, "not one score for each"),
    ],
)
def test_a_bad_value_refuses_the_row_and_names_the_field(
    row: dict[str, Any], complaint: str
) -> None:
    """Nothing is filled in, rounded or clamped."""
    with pytest.raises(BadLabel, match=complaint):
        labels_of(row, "uplifting", NAMES)
