"""Forward passes that a test rules: what they do with a batch, when, and how they batch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from newsieve.inference.forward import Batch, Forward, PendingScores, ReadyScores, Scores
from newsieve.inference.micro_batcher import MicroBatcher

TEXTS = [
    f"The {word} story of a village"
    for word in ["good", "bad", "long", "old", "new", "sad", "sea", "sky"]
]


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


def zeros(batch: Sequence[Sequence[int]]) -> Scores:
    return np.zeros((len(batch), 8))


class SlowDevice(ScriptedForward):
    """A device that works on its own: what was submitted is finished when the test says so."""

    class Pending:
        def __init__(self, device: SlowDevice, scores: Scores) -> None:
            self.device, self.scores = device, scores

        def result(self) -> Scores:
            self.device.events.append("fetch")
            assert self.device.may_finish.wait(10)
            return self.scores

    def __init__(self, budget_tokens: int) -> None:
        super().__init__(zeros, budget_tokens, is_padded=False)
        self.events: list[str] = []
        self.may_finish = threading.Event()

    def wait_for(self, event: str, count: int = 1) -> None:
        """Wait until this has happened so often."""
        deadline = time.monotonic() + 10
        while self.events.count(event) < count:
            assert time.monotonic() < deadline, self.events
            time.sleep(0.001)

    def submit(self, batch: Sequence[Sequence[int]]) -> Pending:
        self.events.append("submit")
        return self.Pending(self, zeros(batch))


def drain(batcher: MicroBatcher) -> None:
    """Wait until all that was submitted is tokenized."""
    batcher._tokenising.submit(lambda: None).result(10)
