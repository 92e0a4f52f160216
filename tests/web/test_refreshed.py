"""Values that take a while to find out."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from newsieve.errors import BrokerUnavailable
from newsieve.web.refreshed import Refreshed
from tests.support.site import until

PATIENCE_SECONDS = 10.0


def test_nobody_waits_longer_than_the_patience() -> None:
    """Who asks has the value before it, and the new one once it has come."""
    may_answer = threading.Event()
    asked: list[int] = []

    def find_out() -> int:
        asked.append(1)
        assert may_answer.wait(PATIENCE_SECONDS)
        return 2

    refreshed = Refreshed(find_out, 60.0, 0.01)
    assert (refreshed.get(), refreshed.get()) == (None, None)
    assert refreshed.why_not == "no answer yet"
    may_answer.set()
    until(lambda: refreshed.get() == 2)
    assert (asked, refreshed.why_not) == ([1], "")


@pytest.mark.parametrize("patience_seconds", [None, PATIENCE_SECONDS])
def test_a_fault_is_the_askers(patience_seconds: float | None) -> None:
    """What is no error of ours is not taken for an answer, and the next one asks again."""
    answers = iter([ZeroDivisionError("a fault"), 5])

    def find_out() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    refreshed = Refreshed(find_out, 0.0, patience_seconds)
    with pytest.raises(ZeroDivisionError):
        refreshed.get()
    assert refreshed.get() == 5


def test_those_who_ask_first_wait_for_one_answer() -> None:
    """It is found out once for all of them."""
    asked: list[int] = []
    together = threading.Barrier(3)

    def find_out() -> int:
        asked.append(1)
        return 7

    refreshed = Refreshed(find_out, 60.0)

    def ask() -> int | None:
        together.wait(PATIENCE_SECONDS)
        return refreshed.get()

    with ThreadPoolExecutor() as threads:
        answers = [threads.submit(ask) for _ in range(3)]
        assert [item.result() for item in answers] == [7, 7, 7]
    assert asked == [1]


def test_after_an_error_the_value_before_it_stays() -> None:
    """With why there is no other, until there is one."""
    answers = iter([1, BrokerUnavailable("away"), 3])

    def find_out() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    refreshed = Refreshed(find_out, 0.0)
    assert (refreshed.get(), refreshed.why_not) == (1, "")
    assert (refreshed.get(), refreshed.why_not) == (1, "away")
    assert (refreshed.get(), refreshed.why_not) == (3, "")
