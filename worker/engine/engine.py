"""The engine: batches of texts in, futures of scores out, tokenising beside the forward pass.

Two threads, each first in first out: while one batch is on the device, the next is being
tokenised. A text is tokenised once however many filters score it, as long as their students
read it alike. Knows no Kafka, no rules, no tiers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import numpy as np

from worker.engine.batching import buckets, isolate
from worker.engine.scorer import FilterScores, Tokens
from worker.engine.student import Student
from worker.errors import DeviceFailed, ModelFailed, RecordError, ScoreNotFinite

PROBE_TEXT: Final = "The library opened its new reading room on Saturday."


class Engine:
    """The students of several filters on one device."""

    def __init__(self, students: Mapping[str, Student], budget_tokens: int) -> None:
        """`budget_tokens` bounds a forward pass, padding included."""
        self._students = students
        self._budget = budget_tokens
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
    ) -> dict[str, dict[int, Tokens]]:
        """Tokens by tokeniser and text."""
        readers = {self._students[name].tokeniser.identity: name for name in wanted}
        found: dict[str, dict[int, Tokens]] = {}
        for identity, name in readers.items():
            rows = sorted(
                {
                    row
                    for other, rows in wanted.items()
                    if self._students[other].tokeniser.identity == identity
                    for row in rows
                }
            )
            encoded = self._students[name].tokeniser.encode([texts[row] for row in rows])
            found[identity] = dict(zip(rows, encoded, strict=True))
        return found

    def _score(
        self, tokens: dict[str, dict[int, Tokens]], wanted: Mapping[str, Sequence[int]]
    ) -> dict[str, FilterScores]:
        scored = {}
        for name, rows in wanted.items():
            student = self._students[name]
            read = tokens[student.tokeniser.identity]
            scored[name] = score_tokens(student, [read[row] for row in rows], self._budget)
        return scored


def score_tokens(student: Student, tokens: list[Tokens], budget_tokens: int) -> FilterScores:
    """Score tokenised texts in buckets, finding out the rows that make the model fail."""
    scores = np.full((len(tokens), len(student.manifest.dimensions)), np.nan)
    faults: dict[int, RecordError] = {}

    def forward(rows: Sequence[int]) -> None:
        scores[rows] = student.forward([tokens[row].ids for row in rows])

    for bucket in buckets([len(item.ids) for item in tokens], budget_tokens):
        try:
            failed = isolate(forward, bucket, lambda: _is_healthy(student))
        except Exception as error:
            raise DeviceFailed(
                f"the {student.filter.reference} student fails on {student.device} whatever the "
                f"text: {error}"
            ) from error
        faults |= {row: ModelFailed(_describe(error)) for row, error in failed.items()}
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


def _describe(error: Exception) -> str:
    first_line = next(iter(str(error).splitlines()), "")
    return f"the model failed on this text: {type(error).__name__}: {first_line}"
