"""What the engine makes of texts that break the tokenizer or the model, and of a dead device."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from newsieve.errors import DeviceFailed, ModelFailed, ScoreNotFinite
from newsieve.inference.batching import OutOfMemory
from newsieve.inference.engine import PROBE_TEXT, Engine
from newsieve.inference.forward import Batch, Forward, Scores
from newsieve.inference.micro_batcher import MicroBatcher
from newsieve.inference.scorer import Tokens
from newsieve.inference.student import Student
from newsieve.inference.tokenize import Tokeniser, TokeniserFailed
from tests.support.forwards import TEXTS, ScriptedForward


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


class Late(ScriptedForward):
    """A device whose failures show only when a result is fetched, as a GPU's."""

    class Pending:
        def __init__(self, answer: Callable[[], Scores]) -> None:
            self.result = answer

    def submit(self, batch: Batch) -> Pending:
        return self.Pending(lambda: self.answer(batch))


def test_a_device_that_fails_late_is_not_the_articles_fault(student: Student) -> None:
    """The future says so, as it does where the failure came at once."""

    def dead(_: Batch) -> Scores:
        raise RuntimeError("device lost")

    batcher = MicroBatcher({"uplifting": replace(student, forward=Late(dead))})

    with pytest.raises(DeviceFailed, match="device lost"):
        batcher.submit(TEXTS, {"uplifting": [0, 1, 2]}).result(10)


def test_the_search_and_its_harmless_text_are_watched(student: Student) -> None:
    """A device that is gone may hang on either."""
    step = Step()
    watched: list[bool] = []

    def dead(_: Batch) -> Scores:
        watched.append(bool(step.threads))
        raise RuntimeError("device lost")

    batcher = MicroBatcher({"uplifting": replace(student, forward=Late(dead))}, lambda: step)
    with pytest.raises(DeviceFailed):
        batcher.submit(TEXTS, {"uplifting": [0]}).result(10)

    assert len(watched) >= 2
    assert all(watched)


def test_scores_of_another_shape_are_the_devices_failure(student: Student) -> None:
    """No text gets the score of another."""
    batcher = MicroBatcher(
        {"uplifting": replace(student, forward=ScriptedForward(lambda _: np.zeros((1, 3))))}
    )

    with pytest.raises(DeviceFailed, match="shape"):
        batcher.submit(TEXTS, {"uplifting": range(8)}).result(10)


def test_out_of_memory_halves_the_budget_and_goes_on(student: Student) -> None:
    """All are scored, nobody is blamed, later batches are smaller, and somebody is told."""
    sizes: list[int] = []
    halved: list[int] = []

    def answer(batch: Batch) -> Scores:
        sizes.append(sum(map(len, batch)))
        if sizes[-1] > 100:
            raise OutOfMemory
        return np.zeros((len(batch), 8))

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


def test_batches_that_ran_out_of_memory_together_halve_the_budget_once(student: Student) -> None:
    """Those that were submitted under the former budget say nothing of the new one."""
    halved: list[int] = []

    def answer(batch: Batch) -> Scores:
        if sum(map(len, batch)) > 200:
            raise OutOfMemory
        return np.zeros((len(batch), 8))

    forward = Late(answer, budget_tokens=256, is_padded=False)
    engine = Engine(
        replace(student, forward=forward),
        threading.Lock(),
        on_budget_halved=lambda _, tokens: halved.append(tokens),
    )
    together = [engine.submit([[1] * 60] * 4) for _ in range(3)]

    for pending in together:
        assert not pending.result().faults

    assert halved == [128]


def test_a_text_that_fits_once_the_budget_is_smaller_is_scored(student: Student) -> None:
    """Rows of a GPU are filled up to a part of the budget, however little is in them."""

    def answer(batch: Batch) -> Scores:
        if forward.budget_tokens // 8 > 100:
            raise OutOfMemory
        return np.zeros((len(batch), 8))

    forward = ScriptedForward(answer, budget_tokens=4_224, is_padded=False)
    batcher = MicroBatcher({"uplifting": replace(student, forward=forward)})

    assert not batcher.submit(TEXTS, {"uplifting": [0]}).result(10)["uplifting"].faults
