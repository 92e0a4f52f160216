"""The seam for the forward pass: token ids in, raw scores out.

A forward pass says how it batches: whether it pads texts to the longest of their batch, and how
many tokens it takes at once. Nothing else needs to know which one it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Batch = Sequence[Sequence[int]]  # the token ids of N texts
Scores = npt.NDArray[np.float64]  # (N, D), raw
Pooling = Literal["last", "mean"]  # which of a text's hidden states the head reads


class PendingScores(Protocol):
    """The raw scores of a batch that was given to the device."""

    def result(self) -> Scores:
        """Wait for the (N, D) scores. Raises what the device raises."""
        ...


@dataclass(frozen=True, slots=True)
class ReadyScores:
    """The scores of a forward pass that has ended when it returns, as a CPU's does."""

    scores: Scores

    def result(self) -> Scores:
        """Return the (N, D) scores."""
        return self.scores


class Forward(ABC):
    """The forward pass of one student on one device. Submit from one thread at a time; another
    may wait for results."""

    is_padded: bool  # every text of a batch costs as much as the longest
    budget_tokens: int  # of one batch, padding included
    batches_in_flight: int = 2  # submitted at a time: one computing, and one that it goes on with

    def set_budget(self, budget_tokens: int) -> None:
        """Set how many tokens a batch has at most, from the next one on."""
        self.budget_tokens = budget_tokens

    @abstractmethod
    def submit(self, batch: Batch) -> PendingScores:
        """Begin the forward pass of N texts.

        Raises OutOfMemory when fewer texts might fit, else whatever the model raises.
        """

    def __call__(self, batch: Batch) -> Scores:
        """The (N, D) raw scores of N texts. Raises as `submit`."""
        return self.submit(batch).result()
