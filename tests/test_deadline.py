"""A moment by which something has to be over."""

from __future__ import annotations

from newsieve.deadline import Deadline


def test_a_deadline_counts_down_to_its_moment_and_stays_there() -> None:
    """What is left is never negative, so that it can be waited for."""
    now = [100.0]
    deadline = Deadline(2.5, lambda: now[0])

    assert (deadline.is_over, deadline.seconds_left) == (False, 2.5)
    now[0] = 102.5
    assert (deadline.is_over, deadline.seconds_left) == (True, 0)
    now[0] = 110.0
    assert (deadline.is_over, deadline.seconds_left) == (True, 0)
