"""Which records meet the conditions of a push."""

from __future__ import annotations

from typing import Any

import pytest

from newsieve.programs.pushing.conditions import Conditions
from newsieve.records.decode import RawRecord
from tests.support.pushing import ALERT, ARTICLE, EVENT, stored


@pytest.mark.parametrize(
    ("conditions", "is_met"),
    [
        (Conditions(), True),
        (Conditions(filter_name="uplifting"), True),
        (Conditions(filter_name="uplifting/v4"), True),
        (Conditions(filter_name="uplifting/v3"), False),
        (Conditions(filter_name="sustainability"), False),
        (Conditions(tiers=frozenset({"impact", "connection"})), True),
        (Conditions(tiers=frozenset({"impact"})), False),
        (Conditions(min_score=6.53), True),
        (Conditions(min_score=6.54), False),
        (Conditions(sources=frozenset({"example.org"})), True),
        (Conditions(sources=frozenset({"other.example"})), False),
        (Conditions("uplifting", frozenset({"connection"}), 7.0), False),
    ],
)
def test_a_record_meets_all_conditions_or_is_passed_over(
    conditions: Conditions, *, is_met: bool
) -> None:
    """With the headers, and by the value alone where there are none."""
    assert conditions.are_met_by(stored(ARTICLE, EVENT).record) is is_met
    assert conditions.are_met_by(stored(ARTICLE).record) is is_met


@pytest.mark.parametrize(
    "value",
    [b"no JSON", b"[]", {"score": "9"}, {"score": True}, {"article": 7, "score": None}, ALERT],
)
def test_a_condition_on_a_field_that_is_not_there_is_not_met(value: bytes | dict[str, Any]) -> None:
    """An alert has no score and no source."""
    record = stored(value).record

    assert Conditions().are_met_by(record)
    assert not Conditions(min_score=0.0).are_met_by(record)
    assert not Conditions(sources=frozenset({"example.org"})).are_met_by(record)


def test_a_tombstone_is_passed_over() -> None:
    """There is nothing to deliver."""
    tombstone = RawRecord(None, b"k", [], 0, {})  # type: ignore[arg-type]

    assert not Conditions().are_met_by(tombstone)
