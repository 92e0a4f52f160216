"""Runs one student: reads texts into tokens, scores batches of them, and finds the texts that make
the tokenizer or the model fail.

A text that fails costs its neighbours nothing. It knows neither which texts are batched together
nor which thread it runs on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from newsieve.errors import DeviceFailed, ModelFailed, RecordError, ScoreNotFinite
from newsieve.inference.batching import OutOfMemory, bisect_failures
from newsieve.inference.forward import Batch, PendingScores, Scores
from newsieve.inference.scorer import Tokens
from newsieve.inference.tokenize import Tokeniser

if TYPE_CHECKING:  # how a student is checked needs packages that running one does not
    from newsieve.inference.student import Student

PROBE_TEXT: Final = "The library opened its new reading room on Saturday."
Step = Callable[[], AbstractContextManager[None]]  # around what may hang


class BatchScores(NamedTuple):
    """The (N, D) raw scores of a batch, and the rows that have none, with the reason."""

    scores: Scores
    faults: Mapping[int, RecordError]


class Engine:
    """Runs the forward passes of one student. One thread may submit batches while another waits for
    their scores."""

    def __init__(
        self,
        student: Student,
        device_lock: threading.Lock,
        step: Step = nullcontext,
        on_budget_halved: Callable[[Student, int], None] = lambda *_: None,
    ) -> None:
        """`device_lock` is held by whoever gives work to the device, for this student or another;
        `step` watches the time of what is done there; `on_budget_halved` is told the new budget, in
        tokens, when the device's memory did not hold a batch."""
        self.student = student
        self._device_lock = device_lock
        self._step = step
        self._on_budget_halved = on_budget_halved

    @property
    def budget_tokens(self) -> int:
        """How many tokens a batch may have."""
        return self.student.forward.budget_tokens

    def submit(self, batch: Batch) -> PendingBatch:
        """Begin the forward pass of N texts' token ids."""
        budget_tokens = self.budget_tokens
        try:
            with self._device_lock, self._step():
                pending = self.student.forward.submit(batch)
        except Exception as error:  # noqa: BLE001 - whatever the model raises: `result` searches whose fault it is
            return PendingBatch(self, batch, budget_tokens, error)
        return PendingBatch(self, batch, budget_tokens, pending)

    def result(self, batch: PendingBatch) -> BatchScores:
        """Wait for the scores of a batch, or find the rows that made it fail. Raises
        DeviceFailed."""
        if isinstance(batch.pending, Exception):
            return self._without_failures(batch, batch.pending)
        try:
            with self._step():
                scores = batch.pending.result()
            return _checked(self._shaped(scores, len(batch.ids)), {})
        except Exception as error:  # noqa: BLE001 - as above
            return self._without_failures(batch, error)

    def _without_failures(self, failed_batch: PendingBatch, error: Exception) -> BatchScores:
        """The scores of a batch that failed as a whole. Raises DeviceFailed when the texts are not
        to blame."""
        batch = failed_batch.ids
        if isinstance(error, OutOfMemory):
            is_halved = self._halve_budget(failed_batch.budget_tokens)
            if is_halved and len(batch) == 1:  # a row may be filled up less now
                return self.submit(batch).result()
        scores = np.full((len(batch), len(self.student.manifest.dimensions)), np.nan)
        known = [error]  # of the first try, which was before

        def forward(rows: Sequence[int]) -> None:
            if known:
                raise known.pop()
            with self._device_lock, self._step():
                scored = self.student.forward([batch[row] for row in rows])
            scores[rows] = self._shaped(scored, len(rows))

        try:
            failed = bisect_failures(forward, range(len(batch)), self._is_healthy)
        except Exception as last:
            raise DeviceFailed(
                f"the {self.student.filter.reference} student fails on {self.student.device} "
                f"whatever the text: {last}"
            ) from last
        faults = {row: ModelFailed(_describe("model", reason)) for row, reason in failed.items()}
        return _checked(scores, faults)

    def _halve_budget(self, budget_tokens: int) -> bool:
        """Halve the budget, unless that was done since a batch within `budget_tokens` was
        submitted: batches that were on the device together run short of memory together."""
        if budget_tokens > self.budget_tokens or budget_tokens == 1:
            return False
        self.student.forward.set_budget(budget_tokens // 2)
        self._on_budget_halved(self.student, self.budget_tokens)
        return True

    def _is_healthy(self) -> bool:
        """Whether the student can score a harmless text."""
        try:
            probe = self.student.tokeniser.encode([PROBE_TEXT])[0]
            with self._device_lock, self._step():
                scores = self._shaped(self.student.forward([probe.ids]), 1)
            return bool(np.isfinite(scores).all())
        except Exception:  # noqa: BLE001 - any failure here is the answer
            return False

    def _shaped(self, scores: Scores, count: int) -> Scores:
        """The scores, which must be one row for each text. Raises ValueError."""
        shape = (count, len(self.student.manifest.dimensions))
        if np.shape(scores) != shape:
            raise ValueError(f"the model's scores have the shape {np.shape(scores)}, not {shape}")
        return scores


@dataclass(frozen=True, slots=True)
class PendingBatch:
    """A batch that was given to the device, under a budget: its scores to come, or how that
    failed."""

    engine: Engine
    ids: Batch
    budget_tokens: int
    pending: PendingScores | Exception

    def result(self) -> BatchScores:
        """Wait for the scores. Raises DeviceFailed when the texts are not to blame."""
        return self.engine.result(self)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one tokenizer made of the texts, by row: tokens, or the reason why there are none."""

    tokens: Mapping[int, Tokens]
    faults: Mapping[int, RecordError]


def read_texts(tokeniser: Tokeniser, texts: Sequence[str], rows: Sequence[int]) -> Reading:
    """Tokenize these rows' texts, and find those that make the tokenizer fail.

    Raises DeviceFailed when it fails on a harmless text, too.
    """
    tokens: dict[int, Tokens] = {}

    def read(wanted: Sequence[int]) -> None:
        encoded = tokeniser.encode([texts[row] for row in wanted])
        tokens.update(zip(wanted, encoded, strict=True))

    try:
        failed = bisect_failures(read, rows, lambda: _can_read(tokeniser))
    except Exception as error:
        raise DeviceFailed(f"the tokeniser fails whatever the text: {error}") from error
    faults = {row: ModelFailed(_describe("tokeniser", error)) for row, error in failed.items()}
    return Reading(tokens, faults)


def _checked(scores: Scores, faults: Mapping[int, RecordError]) -> BatchScores:
    """Add a fault for each row whose score is not a finite number."""
    infinite = {
        int(row): ScoreNotFinite("the model's score is not a finite number")
        for row in np.flatnonzero(~np.isfinite(scores).all(axis=1))
    }
    return BatchScores(scores, infinite | dict(faults))


def _can_read(tokeniser: Tokeniser) -> bool:
    """Whether the tokenizer can read a harmless text."""
    try:
        return bool(tokeniser.encode([PROBE_TEXT])[0].ids)
    except Exception:  # noqa: BLE001 - any failure here is the answer
        return False


def _describe(what: str, error: Exception) -> str:
    first_line = next(iter(str(error).splitlines()), "")
    return f"the {what} failed on this text: {type(error).__name__}: {first_line}"
