"""What the engine makes of texts that break the tokenizer or the model, and of a dead device."""

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
from newsieve.inference.engine import PROBE_TEXT
from newsieve.inference.forward import Forward, Scores
from newsieve.inference.micro_batcher import MicroBatcher
from newsieve.inference.scorer import Tokens
from newsieve.inference.student import Student, load_student
from newsieve.inference.tokenize import Tokeniser, TokeniserFailed
from tests.support.forwards import ScriptedForward

TEXTS = [
    f"The {word} story of a village"
    for word in ["good", "bad", "long", "old", "new", "sad", "sea", "sky"]
]


@pytest.fixture(scope="module")
def student(tiny_student: Path, uplifting: Filter) -> Student:
    return load_student(uplifting, tiny_student, dtype="fp32")


class Poisoned(ScriptedForward):
    """The student's forward pass, except that texts with a poisoned token break it."""

    def __init__(self, inner: Forward, is_poison: Sequence[int], answer: Exception | float) -> None:
        super().__init__(self.score)
        self.inner, self.poison, self.value = inner, list(is_poison), answer

    def score(self, batch: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
        bad = [list(ids) == self.poison for ids in batch]
        if any(bad) and isinstance(self.value, Exception):
            raise self.value
        scores = self.inner(batch)
        if not isinstance(self.value, Exception):
            scores[bad] = self.value
        return scores


def poisoned(student: Student, text: str, answer: Exception | float) -> Student:
    ids = student.tokeniser.encode([text])[0].ids
    return replace(student, forward=Poisoned(student.forward, ids, answer))


def test_a_row_that_breaks_the_model_costs_its_neighbours_nothing(student: Student) -> None:
    """It alone has a fault; the others have the scores they always have."""
    batcher = MicroBatcher({"uplifting": poisoned(student, TEXTS[3], ValueError("boom"))})
    healthy = MicroBatcher({"uplifting": student})
    rows = list(range(len(TEXTS)))

    found = batcher.submit(TEXTS, {"uplifting": rows}).result()["uplifting"]
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
    batcher = MicroBatcher({"uplifting": poisoned(student, TEXTS[0], answer)})

    found = batcher.submit(TEXTS, {"uplifting": [0, 1]}).result()["uplifting"]

    assert isinstance(found.faults[0], ScoreNotFinite)
    assert 1 not in found.faults


def test_a_dead_device_is_not_the_articles_fault(student: Student) -> None:
    """The future raises, and no row is blamed."""

    def dead(_: Sequence[Sequence[int]]) -> Scores:
        raise RuntimeError("device lost")

    batcher = MicroBatcher({"uplifting": replace(student, forward=ScriptedForward(dead))})

    with pytest.raises(DeviceFailed, match="device lost"):
        batcher.submit(TEXTS, {"uplifting": [0, 1, 2]}).result()


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

    looking = replace(
        student, tokeniser=Looking(student.tokeniser, ()), forward=ScriptedForward(forward)
    )
    MicroBatcher({"uplifting": looking}, lambda: step).submit(TEXTS, {"uplifting": [0]}).result()

    assert seen == [{"tokenise_0"}, {"forward_0"}]
    assert not step.threads


def test_a_text_that_breaks_the_tokeniser_costs_its_neighbours_nothing(student: Student) -> None:
    """It alone has a fault, in every filter that was asked for it."""
    brittle = replace(student, tokeniser=Brittle(student.tokeniser, TEXTS[3:4]))
    rows = list(range(len(TEXTS)))
    wanted = {"uplifting": rows, "second": [1, 3]}

    found = MicroBatcher({"uplifting": brittle, "second": brittle}).submit(TEXTS, wanted).result()
    expected = MicroBatcher({"uplifting": student}).submit(TEXTS, {"uplifting": rows}).result()

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
        MicroBatcher({"uplifting": broken}).submit(TEXTS, {"uplifting": [0, 1, 2]}).result()
