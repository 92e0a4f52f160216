"""The micro-batcher when requests are cancelled, devices fail, or it is closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace

import pytest

from newsieve.errors import DeviceFailed
from newsieve.inference.forward import Scores
from newsieve.inference.micro_batcher import MicroBatcher
from newsieve.inference.request import Request
from newsieve.inference.scorer import Tokens
from newsieve.inference.student import Student
from newsieve.inference.tokenize import Tokeniser
from tests.support.forwards import TEXTS, ScriptedForward, SlowDevice, drain, zeros


def test_a_cancelled_request_is_not_scored(student: Student) -> None:
    """What a rebalance made void costs no forward pass."""
    seen: list[int] = []
    is_busy, may_go_on = threading.Event(), threading.Event()

    def answer(batch: Sequence[Sequence[int]]) -> Scores:
        seen.append(len(batch))
        is_busy.set()
        assert may_go_on.wait(10)
        return zeros(batch)

    batcher = MicroBatcher({"uplifting": replace(student, forward=ScriptedForward(answer))})
    first = batcher.submit(TEXTS[:1], {"uplifting": [0]})
    assert is_busy.wait(10)
    void = batcher.submit(TEXTS[1:4], {"uplifting": [0, 1, 2]})
    last = batcher.submit(TEXTS[4:6], {"uplifting": [0, 1]})
    drain(batcher)
    assert void.cancel()
    may_go_on.set()
    first.result(10), last.result(10)

    assert seen == [1, 2]


def test_a_cancellation_between_two_looks_fails_nobody_else(
    student: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An abort may come at any moment, also just before the texts are taken."""
    batcher = MicroBatcher({"uplifting": replace(student, forward=ScriptedForward(zeros))})
    take = batcher._take
    void: list[Future[object]] = []

    def late(name: str) -> object:
        if void:
            void.pop().cancel()
        return take(name)

    monkeypatch.setattr(batcher, "_take", late)
    void.append(batcher.submit(TEXTS[:1], {"uplifting": [0]}))
    drain(batcher)

    assert len(batcher.submit(TEXTS[:1], {"uplifting": [0]}).result(10)["uplifting"].scores) == 1


def test_a_device_that_fails_once_fails_only_the_requests_of_its_batch(student: Student) -> None:
    """The next ones are tried."""
    answers: list[str] = []

    def answer(batch: Sequence[Sequence[int]]) -> Scores:
        answers.append("call")
        if len(answers) <= 2:  # the batch, and the harmless text after it
            raise RuntimeError("device lost")
        return zeros(batch)

    batcher = MicroBatcher({"uplifting": replace(student, forward=ScriptedForward(answer))})

    with pytest.raises(DeviceFailed, match="device lost"):
        batcher.submit(TEXTS[:1], {"uplifting": [0]}).result(10)
    assert len(batcher.submit(TEXTS[:2], {"uplifting": [0, 1]}).result(10)["uplifting"].scores) == 2


def test_closing_cancels_what_is_not_finished(student: Student) -> None:
    """Nobody waits for an answer that does not come: of texts on the device, of those that wait for
    it, of those that are not tokenized yet."""
    device = SlowDevice(budget_tokens=16)
    is_reading, may_read = threading.Event(), threading.Event()

    class Slow(Tokeniser):
        def __init__(self) -> None:
            self.identity = "slow"

        def encode(self, texts: Sequence[str]) -> list[Tokens]:
            if "wait" in texts:
                is_reading.set()
                assert may_read.wait(10)
            return student.tokeniser.encode(texts)

    batcher = MicroBatcher({"uplifting": replace(student, forward=device, tokeniser=Slow())})
    futures = [batcher.submit(TEXTS, {"uplifting": range(len(TEXTS))})]
    futures += [batcher.submit(["wait"], {"uplifting": [0]}) for _ in range(2)]
    assert is_reading.wait(10)

    batcher.close()
    device.may_finish.set()
    may_read.set()

    for future in futures:
        with pytest.raises(CancelledError):
            future.result(10)


def test_a_failure_of_the_batcher_itself_is_told_to_all_who_wait(
    student: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker would else stand still."""

    def broken(*_: object, **__: object) -> list[int]:
        raise MemoryError("no memory left")

    monkeypatch.setattr("newsieve.inference.micro_batcher.next_batch", broken)
    batcher = MicroBatcher({"uplifting": replace(student, forward=ScriptedForward(zeros))})

    with pytest.raises(MemoryError):
        batcher.submit(TEXTS, {"uplifting": [0, 1]}).result(10)


def test_a_cancelled_request_is_seen_by_those_who_wait_for_several(student: Student) -> None:
    """`concurrent.futures.wait` counts it as done."""
    device = SlowDevice(budget_tokens=16)
    batcher = MicroBatcher({"uplifting": replace(student, forward=device)})
    future = batcher.submit(TEXTS, {"uplifting": range(len(TEXTS))})
    device.wait_for("submit")

    future.cancel()
    done, _ = wait([future], timeout=10)
    device.may_finish.set()

    assert done == {future}


def test_no_request_stays_open_whenever_the_batcher_is_closed(student: Student) -> None:
    """Whoever submits at that moment is answered or refused."""
    for _ in range(20):
        batcher = MicroBatcher({"uplifting": replace(student, forward=ScriptedForward(zeros))})
        futures: list[Future[object]] = []

        def submit(batcher: MicroBatcher = batcher, futures: list[object] = futures) -> None:
            with suppress(RuntimeError):
                while True:
                    futures.append(batcher.submit(["sea"], {"uplifting": [0]}))

        threads = [threading.Thread(target=submit) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.005)
        batcher.close()
        for thread in threads:
            thread.join()

        assert not wait(futures, timeout=10).not_done


def test_a_request_is_resolved_once_whoever_comes_first() -> None:
    """A failure on one thread, scores on another, a cancellation on a third: none of them fails."""
    for _ in range(200):
        request = Request(Future())
        with ThreadPoolExecutor(3) as threads:
            steps = [
                threads.submit(request.complete),
                threads.submit(request.fail, ValueError("boom")),
                threads.submit(request.future.cancel),
            ]
        for step in steps:
            step.result()

        assert request.future.done()
