"""When dead letters are too many."""

from __future__ import annotations

import pytest

from newsieve.errors import DeadLetterLimit, InvalidJson
from newsieve.stream.dead_letter_limit import DeadLetterLimiter
from newsieve.stream.outcome import DEAD_LETTER, SCORED, Outcome

GOOD = [Outcome("uplifting", SCORED, "impact", [], None)]
BAD = [Outcome(None, DEAD_LETTER, None, [], InvalidJson("not JSON"))]


def test_more_than_so_many_in_a_row_stop_the_worker() -> None:
    """One good record begins anew."""
    limits = DeadLetterLimiter(1, 1_000, 2)
    for outcomes in (BAD, BAD, GOOD, BAD, BAD):
        limits.check(outcomes)

    with pytest.raises(DeadLetterLimit, match=r"more than 2 records in a row.*InvalidJson"):
        limits.check(BAD)


def test_more_than_a_share_of_the_last_records_stops_the_worker() -> None:
    """Only once the window is full, and only of what is in it."""
    limits = DeadLetterLimiter(0.5, 4, 100)
    for outcomes in (BAD, GOOD, BAD):
        limits.check(outcomes)

    with pytest.raises(DeadLetterLimit, match="more than 50% of 4 records"):
        limits.check(BAD)

    limits = DeadLetterLimiter(0.5, 4, 100)
    for outcomes in (GOOD, GOOD, BAD, BAD, GOOD, GOOD, BAD, BAD):
        limits.check(outcomes)


def test_what_comes_again_after_a_rewind_is_not_counted_twice() -> None:
    """Neither in the run nor in the window."""
    limits = DeadLetterLimiter(1, 1_000, 3)
    limits.check(BAD)
    limits.committed()
    for _ in range(3):
        limits.check(BAD)
        limits.check(BAD)
        limits.rolled_back()
    limits.check(BAD)
    limits.check(BAD)

    with pytest.raises(DeadLetterLimit, match="in a row"):
        limits.check(BAD)
