"""The engine around the model: several filters, bad rows, threads."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from newsieve.errors import DeviceFailed, ModelFailed, ScoreNotFinite
from newsieve.filters.registry import Filter
from newsieve.inference.engine import PROBE_TEXT, Engine
from newsieve.inference.scorer import Tokens
from newsieve.inference.student import Forward, Student, load_student
from newsieve.inference.tokenize import Tokeniser, TokeniserFailed
from tests.support.tiny_student import make_student

TEXTS = [
    f"The {word} story of a village"
    for word in ["good", "bad", "long", "old", "new", "sad", "sea", "sky"]
]


@pytest.fixture(scope="module")
def student(tiny_student: Path, uplifting: Filter) -> Student:
    return load_student(uplifting, tiny_student, dtype="fp32")


class Poisoned:
    """The student's forward pass, except that texts with a poisoned token break it."""

    def __init__(self, inner: Forward, is_poison: Sequence[int], answer: Exception | float) -> None:
        self.inner, self.poison, self.answer = inner, list(is_poison), answer
        self.calls = 0

    def __call__(self, batch: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
        self.calls += 1
        bad = [list(ids) == self.poison for ids in batch]
        if any(bad) and isinstance(self.answer, Exception):
            raise self.answer
        scores = self.inner(batch)
        if not isinstance(self.answer, Exception):
            scores[bad] = self.answer
        return scores


def poisoned(student: Student, text: str, answer: Exception | float) -> Student:
    ids = student.tokeniser.encode([text])[0].ids
    return replace(student, forward=Poisoned(student.forward, ids, answer))


def test_a_row_that_breaks_the_model_costs_its_neighbours_nothing(student: Student) -> None:
    """It alone has a fault; the others have the scores they always have."""
    engine = Engine({"uplifting": poisoned(student, TEXTS[3], ValueError("boom"))}, 4_096)
    healthy = Engine({"uplifting": student}, 4_096)
    rows = list(range(len(TEXTS)))

    found = engine.submit(TEXTS, {"uplifting": rows}).result()["uplifting"]
    expected = healthy.submit(TEXTS, {"uplifting": rows}).result()["uplifting"]

    assert set(found.faults) == {3}
    assert isinstance(found.faults[3], ModelFailed)
    assert "boom" in str(found.faults[3])
    others = [row for row in rows if row != 3]
    assert np.abs(found.scores[others] - expected.scores[others]).max() < 1e-4


@pytest.mark.parametrize("answer", [float("nan"), float("inf"), -float("inf")])
def test_a_score_that_is_not_finite_is_a_fault_not_a_number(
    student: Student, answer: float
) -> None:
    """Never null, never 0."""
    engine = Engine({"uplifting": poisoned(student, TEXTS[0], answer)}, 4_096)

    found = engine.submit(TEXTS, {"uplifting": [0, 1]}).result()["uplifting"]

    assert isinstance(found.faults[0], ScoreNotFinite)
    assert 1 not in found.faults


def test_a_dead_device_is_not_the_articles_fault(student: Student) -> None:
    """The future raises, and no row is blamed."""

    class Dead:
        def __call__(self, _: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
            raise RuntimeError("device lost")

    engine = Engine({"uplifting": replace(student, forward=Dead())}, 4_096)

    with pytest.raises(DeviceFailed, match="device lost"):
        engine.submit(TEXTS, {"uplifting": [0, 1, 2]}).result()


class Brittle(Tokeniser):
    """The student's tokeniser, except that some texts break it."""

    def __init__(self, inner: Tokeniser, poison: Collection[str]) -> None:
        self.inner, self.poison, self.identity = inner, poison, inner.identity

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        if any(text in self.poison for text in texts):
            raise TokeniserFailed("PanicException: retry-limit-in-match over")
        return self.inner.encode(texts)


class Step:
    """Of one thread at a time, as a watchdog's."""

    def __init__(self) -> None:
        self.threads: set[str] = set()

    def __enter__(self) -> None:
        self.threads.add(threading.current_thread().name)

    def __exit__(self, *_: object) -> None:
        self.threads.remove(threading.current_thread().name)


def test_what_may_hang_is_done_within_a_step(student: Student) -> None:
    """Reading a text and the forward pass, each on a thread of its own."""
    step = Step()
    seen: list[set[str]] = []

    class Looking(Brittle):
        def encode(self, texts: Sequence[str]) -> list[Tokens]:
            seen.append(set(step.threads))
            return super().encode(texts)

    def forward(batch: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
        seen.append(set(step.threads))
        return student.forward(batch)

    looking = replace(student, tokeniser=Looking(student.tokeniser, ()), forward=forward)
    Engine({"uplifting": looking}, 4_096, lambda: step).submit(TEXTS, {"uplifting": [0]}).result()

    assert seen == [{"tokenise_0"}, {"forward_0"}]
    assert not step.threads


def test_a_text_that_breaks_the_tokeniser_costs_its_neighbours_nothing(student: Student) -> None:
    """It alone has a fault, in every filter that was asked for it."""
    brittle = replace(student, tokeniser=Brittle(student.tokeniser, TEXTS[3:4]))
    rows = list(range(len(TEXTS)))
    wanted = {"uplifting": rows, "second": [1, 3]}

    found = Engine({"uplifting": brittle, "second": brittle}, 4_096).submit(TEXTS, wanted).result()
    expected = Engine({"uplifting": student}, 4_096).submit(TEXTS, {"uplifting": rows}).result()

    assert set(found["uplifting"].faults) == {3}
    assert set(found["second"].faults) == {1}
    assert isinstance(found["second"].faults[1], ModelFailed)
    assert "tokeniser failed on this text" in str(found["second"].faults[1])
    others = [row for row in rows if row != 3]
    scores, known = found["uplifting"].scores, expected["uplifting"].scores
    assert np.abs(scores[others] - known[others]).max() < 1e-4


def test_a_tokeniser_that_fails_on_everything_is_not_the_articles_fault(student: Student) -> None:
    """The future raises, and no row is blamed."""
    broken = replace(student, tokeniser=Brittle(student.tokeniser, [*TEXTS, PROBE_TEXT]))

    with pytest.raises(DeviceFailed, match="tokeniser fails whatever the text"):
        Engine({"uplifting": broken}, 4_096).submit(TEXTS, {"uplifting": [0, 1, 2]}).result()


def test_a_second_filter_costs_its_forward_pass_and_no_second_tokenisation(
    student: Student, sustainability: Filter, tmp_path: Path
) -> None:
    """Students that read alike share the tokens; each scores only what it is asked for."""
    base = Path(student.manifest.base.name)
    folder = make_student(tmp_path, sustainability, seed=5, base=base)
    second = load_student(sustainability, folder, dtype="fp32")
    engine = Engine({"uplifting": student, "sustainability": second}, 4_096)
    encoded: list[int] = []
    original = student.tokeniser.encode

    def counting(texts: Sequence[str]) -> object:
        encoded.append(len(texts))
        return original(texts)

    student.tokeniser.encode = second.tokeniser.encode = counting  # type: ignore[method-assign]
    try:
        found = engine.submit(TEXTS, {"uplifting": [0, 1, 2], "sustainability": [2, 3]}).result()
    finally:
        student.tokeniser.encode = original  # type: ignore[method-assign]

    assert encoded == [4]
    assert len(found["uplifting"].scores) == 3
    assert len(found["sustainability"].scores) == 2
    assert found["uplifting"].tokens[2] == found["sustainability"].tokens[0]


def test_batches_finish_in_the_order_they_were_submitted(student: Student) -> None:
    """First in, first out, however different their sizes."""
    engine = Engine({"uplifting": student}, 256)
    done: list[int] = []
    futures = []
    for index, size in enumerate([200, 1, 50, 1]):
        texts = [f"village {n} " * 20 for n in range(size)]
        future = engine.submit(texts, {"uplifting": list(range(size))})
        future.add_done_callback(lambda _, index=index: done.append(index))
        futures.append(future)
    for future in futures:
        future.result()

    assert done == [0, 1, 2, 3]
