"""Values that take a while to find out."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from newsieve.errors import BrokerUnavailable
from newsieve.web.refreshed import Refreshed

PATIENCE_SECONDS = 10.0


def test_who_asks_meanwhile_has_the_value_before_it() -> None:
    """Something that does not answer holds one thread, and not each that asks."""
    answers, begun, may_answer = iter([1, 2]), threading.Event(), threading.Event()

    def find_out() -> int:
        answer = next(answers)
        if answer == 2:
            begun.set()
            assert may_answer.wait(PATIENCE_SECONDS)
        return answer

    refreshed = Refreshed(find_out, 0.0)
    assert refreshed.get() == 1
    with ThreadPoolExecutor() as threads:
        slow = threads.submit(refreshed.get)
        assert begun.wait(PATIENCE_SECONDS)
        assert refreshed.get() == 1
        may_answer.set()
        assert slow.result() == 2


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
