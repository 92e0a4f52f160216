"""The micro-batcher: whose texts share a batch, what is on the device, several filters, latency."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsieve.errors import DeviceFailed
from newsieve.filters.registry import Filter
from newsieve.inference.batching import OutOfMemory
from newsieve.inference.forward import Scores
from newsieve.inference.micro_batcher import LINGER_SECONDS, MicroBatcher
from newsieve.inference.scorer import Tokens
from newsieve.inference.student import Student, load_student
from newsieve.inference.tokenize import Tokeniser
from tests.support.forwards import ScriptedForward
from tests.support.tiny_student import make_student

TEXTS = [
    f"The {word} story of a village"
    for word in ["good", "bad", "long", "old", "new", "sad", "sea", "sky"]
]


@pytest.fixture(scope="module")
def student(tiny_student: Path, uplifting: Filter) -> Student:
    return load_student(uplifting, tiny_student, dtype="fp32")


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


def zeros(batch: Sequence[Sequence[int]]) -> Scores:
    return np.zeros((len(batch), 8))


class SlowDevice(ScriptedForward):
    """A device that works on its own: what was submitted is finished when the test says so."""

    class Pending:
        def __init__(self, device: SlowDevice, scores: Scores) -> None:
            self.device, self.scores = device, scores

        def done(self) -> bool:
            return False

        def result(self) -> Scores:
            self.device.events.append("fetch")
            assert self.device.may_finish.wait(10)
            return self.scores

    def __init__(self, budget_tokens: int) -> None:
        super().__init__(zeros, budget_tokens, is_padded=False)
        self.events: list[str] = []
        self.may_finish = threading.Event()

    def submit(self, batch: Sequence[Sequence[int]]) -> Pending:
        self.events.append("submit")
        return self.Pending(self, zeros(batch))


@pytest.mark.parametrize("most", [2, 3])
def test_the_device_has_its_next_batch_before_a_result_is_waited_for(
    student: Student, most: int
) -> None:
    """As many are on it as its forward pass takes, as long as enough texts wait."""
    device = SlowDevice(budget_tokens=16)
    device.batches_in_flight = most
    batcher = MicroBatcher({"uplifting": replace(student, forward=device)})

    future = batcher.submit([f"village {n} " * 20 for n in range(4)], {"uplifting": range(4)})
    device.may_finish.set()
    future.result(10)

    assert device.events[: most + 1] == [*["submit"] * most, "fetch"]
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


def drain(batcher: MicroBatcher) -> None:
    """Wait until all that was submitted is tokenized."""
    batcher._tokenising.submit(lambda: None).result(10)


def test_out_of_memory_halves_the_budget_and_goes_on(student: Student) -> None:
    """All are scored, nobody is blamed, later batches are smaller, and somebody is told."""
    sizes: list[int] = []
    halved: list[int] = []

    def answer(batch: Sequence[Sequence[int]]) -> Scores:
        sizes.append(sum(map(len, batch)))
        if sizes[-1] > 100:
            raise OutOfMemory
        return zeros(batch)

    forward = ScriptedForward(answer, budget_tokens=256, is_padded=False)
    batcher = MicroBatcher(
        {"uplifting": replace(student, forward=forward)},
        on_budget_halved=lambda _, tokens: halved.append(tokens),
    )
    texts = [f"village {n} " * 20 for n in range(40)]

    scored = batcher.submit(texts, {"uplifting": range(40)}).result(30)["uplifting"]

    assert not scored.faults
    assert np.isfinite(scored.scores).all()
    assert halved == [128, 64]
    after = sizes[max(at for at, size in enumerate(sizes) if size > 100) + 1 :]
    assert after and max(after) <= 100


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
    """And one whose texts cannot be read."""
    batcher = MicroBatcher({"uplifting": replace(student, forward=ScriptedForward(zeros))})

    assert len(batcher.submit([], {"uplifting": []}).result(10)["uplifting"].scores) == 0


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
