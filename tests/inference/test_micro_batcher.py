"""The micro-batcher: whose texts share a batch, what is on the device, several filters, latency."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsieve.filters.registry import Filter
from newsieve.inference.forward import Scores
from newsieve.inference.micro_batcher import LINGER_SECONDS, MicroBatcher
from newsieve.inference.student import Student, load_student
from tests.support.forwards import TEXTS, ScriptedForward, SlowDevice, drain, zeros
from tests.support.tiny_student import make_student


def test_a_second_filter_costs_its_forward_pass_and_no_second_tokenisation(
    student: Student, sustainability: Filter, tmp_path: Path
) -> None:
    """Students that read alike share the tokens; each scores only what it is asked for."""
    base = Path(student.manifest.base.name)
    folder = make_student(tmp_path, sustainability, seed=5, base=base)
    second = load_student(sustainability, folder, dtype="fp32")
    batcher = MicroBatcher({"uplifting": student, "sustainability": second})
    encoded: list[int] = []
    original = student.tokeniser.encode

    def counting(texts: Sequence[str]) -> object:
        encoded.append(len(texts))
        return original(texts)

    student.tokeniser.encode = second.tokeniser.encode = counting  # type: ignore[method-assign]
    try:
        found = batcher.submit(TEXTS, {"uplifting": [0, 1, 2], "sustainability": [2, 3]}).result()
    finally:
        student.tokeniser.encode = original  # type: ignore[method-assign]

    assert encoded == [4]
    assert len(found["uplifting"].scores) == 3
    assert len(found["sustainability"].scores) == 2
    assert found["uplifting"].tokens[2] == found["sustainability"].tokens[0]


@pytest.mark.parametrize("most", [2, 3])
def test_the_device_has_its_next_batch_before_a_result_is_waited_for(
    student: Student, most: int
) -> None:
    """As many are on it as its forward pass takes, as long as enough texts wait."""
    device = SlowDevice(budget_tokens=16)
    device.batches_in_flight = most
    batcher = MicroBatcher({"uplifting": replace(student, forward=device)})

    future = batcher.submit([f"village {n} " * 20 for n in range(4)], {"uplifting": range(4)})
    device.wait_for("submit", most)
    time.sleep(4 * LINGER_SECONDS)
    assert device.events.count("submit") == most  # and no more
    device.may_finish.set()
    future.result(10)

    assert device.events.count("submit") == 4


def test_submissions_share_a_batch(student: Student) -> None:
    """What waits while the device is busy goes together, whoever sent it."""
    sizes: list[int] = []
    is_busy, may_go_on = threading.Event(), threading.Event()

    def answer(batch: Sequence[Sequence[int]]) -> Scores:
        sizes.append(len(batch))
        is_busy.set()
        assert may_go_on.wait(10)
        return zeros(batch)

    forward = ScriptedForward(answer, is_padded=False)
    batcher = MicroBatcher({"uplifting": replace(student, forward=forward)})
    first = batcher.submit(TEXTS[:1], {"uplifting": [0]})
    assert is_busy.wait(10)
    others = [batcher.submit([text], {"uplifting": [0]}) for text in TEXTS[1:]]
    drain(batcher)
    may_go_on.set()
    for future in [first, *others]:
        assert len(future.result(10)["uplifting"].scores) == 1

    assert sizes == [1, len(TEXTS) - 1]


def test_a_free_slot_takes_what_comes_while_a_result_is_waited_for(student: Student) -> None:
    """A batch on the device keeps nobody from giving it the next one."""
    device = SlowDevice(budget_tokens=16)
    batcher = MicroBatcher({"uplifting": replace(student, forward=device)})
    first = batcher.submit(["village " * 20], {"uplifting": [0]})
    device.wait_for("fetch")  # the first result is being waited for

    late = batcher.submit(["village " * 20], {"uplifting": [0]})
    device.wait_for("submit", 2)

    device.may_finish.set()
    first.result(10), late.result(10)


def test_one_filters_rest_does_not_keep_the_others_batch_from_the_device(student: Student) -> None:
    """A full batch of one filter goes while a few tokens of another still wait for company."""
    device, other = SlowDevice(budget_tokens=400), SlowDevice(budget_tokens=400)
    batcher = MicroBatcher(
        {
            "uplifting": replace(student, forward=device),
            "second": replace(student, forward=other),
        }
    )
    texts = ["sea", *["village " * 20] * 15]
    future = batcher.submit(texts, {"uplifting": [0], "second": range(1, 16)})

    other.wait_for("submit")
    device.wait_for("submit")

    for item in (device, other):
        item.may_finish.set()
    future.result(10)


def test_a_lone_text_is_not_held_for_others(student: Student) -> None:
    """At low load a text waits a few milliseconds for company, no longer."""
    batcher = MicroBatcher({"uplifting": replace(student, forward=ScriptedForward(zeros))})
    batcher.submit(TEXTS[:1], {"uplifting": [0]}).result(10)
    seconds = []
    for _ in range(10):
        started = time.monotonic()
        batcher.submit(TEXTS[:1], {"uplifting": [0]}).result(10)
        seconds.append(time.monotonic() - started)

    assert min(seconds) < 10 * LINGER_SECONDS


def test_a_request_for_nothing_is_answered(student: Student) -> None:
    """At once, with no scores."""
    batcher = MicroBatcher({"uplifting": replace(student, forward=ScriptedForward(zeros))})

    assert len(batcher.submit([], {"uplifting": []}).result(10)["uplifting"].scores) == 0


def test_a_finished_request_leaves_nothing_to_the_collector(student: Student) -> None:
    """Workers let it run seldom: what stands in cycles would fill their memory meanwhile."""
    batcher = MicroBatcher({"uplifting": replace(student, forward=ScriptedForward(zeros))})
    gc.collect()
    gc.disable()
    try:
        future = batcher.submit(TEXTS, {"uplifting": range(len(TEXTS))})
        future.result(10)
        finished = weakref.ref(future)
        del future
        for threads in (batcher._tokenising, batcher._launching, batcher._delivering):
            threads.submit(lambda: None).result(10)  # they forget what they did before

        assert finished() is None
    finally:
        gc.enable()


@given(
    submissions=st.lists(st.lists(st.integers(1, 30), max_size=6), max_size=8),
    is_padded=st.booleans(),
    budget_tokens=st.integers(16, 128),
)
@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_text_gets_its_own_scores(
    *, student: Student, submissions: list[list[int]], is_padded: bool, budget_tokens: int
) -> None:
    """Whatever is submitted with it, in whatever batches."""

    def answer(batch: Sequence[Sequence[int]]) -> Scores:
        return np.array([[len(ids), sum(ids), *[0] * 6] for ids in batch], dtype=float)

    forward = ScriptedForward(answer, budget_tokens, is_padded=is_padded)
    batcher = MicroBatcher({"uplifting": replace(student, forward=forward)})
    texts = [[f"{'sea ' * words}{words}" for words in sizes] for sizes in submissions]
    futures = [batcher.submit(some, {"uplifting": range(len(some))}) for some in texts]
    for some, future in zip(texts, futures, strict=True):
        scored = future.result(10)["uplifting"]
        expected = [item.ids for item in student.tokeniser.encode(some)]
        assert scored.scores[:, :2].tolist() == [[len(ids), sum(ids)] for ids in expected]
    batcher.close()
