"""A forward pass that a test rules: what it does with a batch, and how it batches."""

from __future__ import annotations

from collections.abc import Callable

from newsieve.inference.forward import Batch, Forward, PendingScores, ReadyScores, Scores


class ScriptedForward(Forward):
    """Answers each batch by a function."""

    def __init__(
        self,
        answer: Callable[[Batch], Scores],
        budget_tokens: int = 4_096,
        *,
        is_padded: bool = True,
    ) -> None:
        self.answer = answer
        self.budget_tokens = budget_tokens
        self.is_padded = is_padded

    def submit(self, batch: Batch) -> PendingScores:
        return ReadyScores(self.answer(batch))
