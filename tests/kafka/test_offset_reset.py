"""Where reading goes on, for a member of a group and for a program that reads all partitions."""

from __future__ import annotations

import pytest

from newsieve.errors import OffsetsWrong
from newsieve.kafka.offset_query import Watermarks
from newsieve.kafka.offset_reset import starting_offset

PARTITION = ("raw", 0)


@pytest.mark.parametrize(
    ("marks", "position", "begins_at_end", "start", "lost"),
    [
        pytest.param(Watermarks(3, 9, None), None, False, 3, [], id="new group"),
        pytest.param(Watermarks(3, 9, None), None, True, 9, [], id="new group that begins late"),
        pytest.param(Watermarks(3, 9, 5), 5, True, 5, [], id="within"),
        pytest.param(Watermarks(3, 9, 9), 9, False, 9, [], id="at the end"),
        pytest.param(Watermarks(3, 9, 1), 1, True, 3, [2], id="expired"),
        pytest.param(Watermarks(0, 2, None), 7, False, 0, [], id="made anew before any commit"),
    ],
)
def test_reading_goes_on_where_the_group_stands(
    marks: Watermarks, position: int | None, *, begins_at_end: bool, start: int, lost: list[int]
) -> None:
    """A new group begins at an end of the partition, and what retention took is counted."""
    expired: list[int] = []

    found = starting_offset(PARTITION, marks, position, expired.append, begins_at_end=begins_at_end)

    assert (found, expired) == (start, lost)


def test_a_group_beyond_the_end_is_for_a_person_to_decide_on() -> None:
    """To begin again would process the records of a truncated partition a second time."""
    with pytest.raises(OffsetsWrong, match=r"offset 7 is beyond the end, 2, .*reset-offsets"):
        starting_offset(PARTITION, Watermarks(0, 2, 7), 7, lambda _: None)
