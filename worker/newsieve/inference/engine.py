"""The engine takes batches of texts and returns futures of scores; it tokenizes beside the forward
pass.

It has two threads, each first in first out: while one batch is on the device, the next is being
tokenized. A text is tokenized once however many filters score it, as long as their students read it
alike. It knows no Kafka, no rules, no tiers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

import numpy as np

from newsieve.errors import DeviceFailed, ModelFailed, RecordError, ScoreNotFinite
from newsieve.inference.batching import bisect_failures, buckets
from newsieve.inference.scorer import FilterScores, Tokens
from newsieve.inference.student import Student
from newsieve.inference.tokenize import Tokeniser

PROBE_TEXT: Final = "The library opened its new reading room on Saturday."
UNREAD: Final = Tokens([0], truncated=False)  # in the place of a text's that has none
NOTHING_UNREAD: Final[Mapping[int, RecordError]] = {}
Step = Callable[[], AbstractContextManager[None]]  # around what may hang


@dataclass(frozen=True, slots=True)
class Reading:
    """What one tokenizer made of the texts, by row: tokens, or the reason why there are none."""

    tokens: Mapping[int, Tokens]
    faults: Mapping[int, RecordError]


class Engine:
    """Runs the students of several filters on one device."""

    def __init__(
        self, students: Mapping[str, Student], budget_tokens: int, step: Step = nullcontext
    ) -> None:
        """`budget_tokens` bounds a forward pass, padding included; `step` watches its time."""
        self._students = students
        self._budget = budget_tokens
        self._step = step
        self._tokenising = ThreadPoolExecutor(1, thread_name_prefix="tokenise")
        self._scoring = ThreadPoolExecutor(1, thread_name_prefix="forward")

    def submit(
        self, texts: Sequence[str], wanted: Mapping[str, Sequence[int]]
    ) -> Future[dict[str, FilterScores]]:
        tokens = self._tokenising.submit(self._tokenise, texts, wanted)
        return self._scoring.submit(lambda: self._score(tokens.result(), wanted))

    def close(self) -> None:
        self._tokenising.shutdown(wait=False, cancel_futures=True)
        self._scoring.shutdown(wait=False, cancel_futures=True)

    def _tokenise(
        self, texts: Sequence[str], wanted: Mapping[str, Sequence[int]]
    ) -> dict[str, Reading]:
        """Tokenize the texts, by tokenizer. Raises DeviceFailed when a tokenizer fails on a
        harmless text, too."""
        tokenisers = {
            self._students[name].tokeniser.identity: self._students[name].tokeniser
            for name in wanted
        }
        found: dict[str, Reading] = {}
        for identity, tokeniser in tokenisers.items():
            rows = sorted(
                {
                    row
                    for other, rows in wanted.items()
                    if self._students[other].tokeniser.identity == identity
                    for row in rows
                }
            )
            with self._step():
                found[identity] = read_texts(tokeniser, texts, rows)
        return found

    def _score(
        self, readings: dict[str, Reading], wanted: Mapping[str, Sequence[int]]
    ) -> dict[str, FilterScores]:
        scored = {}
        for name, rows in wanted.items():
            student = self._students[name]
            read = readings[student.tokeniser.identity]
            tokens = [read.tokens.get(row, UNREAD) for row in rows]
            unread = {at: read.faults[row] for at, row in enumerate(rows) if row in read.faults}
            scored[name] = score_tokens(student, tokens, self._budget, unread, self._step)
        return scored


def read_texts(tokeniser: Tokeniser, texts: Sequence[str], rows: Sequence[int]) -> Reading:
    """Tokenize these rows' texts, and find those that make the tokenizer fail."""
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


def score_tokens(
    student: Student,
    tokens: list[Tokens],
    budget_tokens: int,
    unread: Mapping[int, RecordError] = NOTHING_UNREAD,
    step: Step = nullcontext,
) -> FilterScores:
    """Score tokenized texts in buckets, and find the rows that make the model fail. `unread` has
    those that the tokenizer failed on."""
    scores = np.full((len(tokens), len(student.manifest.dimensions)), np.nan)
    faults = dict(unread)
    good = [row for row in range(len(tokens)) if row not in unread]

    def forward(rows: Sequence[int]) -> None:
        scores[rows] = student.forward([tokens[row].ids for row in rows])

    for part in buckets([len(tokens[row].ids) for row in good], budget_tokens):
        bucket = [good[at] for at in part]
        try:
            with step():
                failed = bisect_failures(forward, bucket, lambda: _is_healthy(student))
        except Exception as error:
            raise DeviceFailed(
                f"the {student.filter.reference} student fails on {student.device} whatever the "
                f"text: {error}"
            ) from error
        faults |= {row: ModelFailed(_describe("model", error)) for row, error in failed.items()}
        for row in bucket:
            if row not in faults and not np.isfinite(scores[row]).all():
                faults[row] = ScoreNotFinite("the model's score is not a finite number")
    return FilterScores(scores, tokens, faults)


def _is_healthy(student: Student) -> bool:
    """Whether the student can score a harmless text."""
    try:
        probe = student.tokeniser.encode([PROBE_TEXT])[0]
        return bool(np.isfinite(student.forward([probe.ids])).all())
    except Exception:  # noqa: BLE001 - any failure here is the answer
        return False


def _can_read(tokeniser: Tokeniser) -> bool:
    """Whether the tokenizer can read a harmless text."""
    try:
        return bool(tokeniser.encode([PROBE_TEXT])[0].ids)
    except Exception:  # noqa: BLE001 - any failure here is the answer
        return False


def _describe(what: str, error: Exception) -> str:
    first_line = next(iter(str(error).splitlines()), "")
    return f"the {what} failed on this text: {type(error).__name__}: {first_line}"
