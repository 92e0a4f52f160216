"""The seam between programs and the engine. It needs no torch, so that its users need none
either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from newsieve.errors import RecordError


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the student reads of one text."""

    ids: list[int]
    truncated: bool


@dataclass(frozen=True, slots=True)
class FilterScores:
    """One filter's scores of the texts it was asked for, in that order.

    `scores` is (N, D), raw, float64. `faults` has the rows that have none, with the reason.
    """

    scores: npt.NDArray[np.float64]
    tokens: Sequence[Tokens]
    faults: dict[int, RecordError]


class Scorer(Protocol):
    """The seam between the programs and the model."""

    def submit(
        self, texts: Sequence[str], wanted: Mapping[str, Sequence[int]]
    ) -> Future[dict[str, FilterScores]]:
        """Score `texts[i]` for each i in `wanted[filter]`. May be called from any thread.

        The future raises DeviceFailed when it is not the texts' fault. Cancelling it drops what
        has not begun.
        """
        ...

    def close(self) -> None:
        """Drop what is queued and end the threads."""
        ...
