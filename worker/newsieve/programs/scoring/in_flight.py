"""The micro-batches that are being scored, which are finished in the order in which they came.

It knows neither where their records come from nor what becomes of the outcomes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import wait
from typing import Generic, TypeVar

from newsieve.programs.scoring.path import MicroBatch, RecordOutcomes, ScoringPath

Origin = TypeVar("Origin")


class InFlight(Generic[Origin]):
    """Micro-batches, each with what its owner remembers of it. Use it from one thread."""

    def __init__(self, path: ScoringPath) -> None:
        """`path` began the micro-batches and finishes them."""
        self._path = path
        self._batches: deque[tuple[MicroBatch, Origin]] = deque()

    def __len__(self) -> int:
        """The number of micro-batches that are not finished."""
        return len(self._batches)

    @property
    def origins(self) -> Iterator[Origin]:
        """What is remembered of each micro-batch, oldest first."""
        return (origin for _, origin in self._batches)

    @property
    def is_oldest_done(self) -> bool:
        """Whether the oldest micro-batch has its scores; False where there is none."""
        return bool(self._batches) and self._batches[0][0].is_done

    def append(self, batch: MicroBatch, origin: Origin) -> None:
        """Add a micro-batch whose texts were submitted after all others'."""
        self._batches.append((batch, origin))

    def wait(self, seconds: float) -> None:
        """Wait so long for the oldest micro-batch's scores."""
        if self._batches and self._batches[0][0].scores is not None:
            wait([self._batches[0][0].scores], timeout=seconds)

    def finish_oldest(self) -> tuple[Origin, list[RecordOutcomes]]:
        """Remove the oldest micro-batch, and return its rows with their outcomes. Waits for its
        scores; raises DeviceFailed."""
        batch, origin = self._batches.popleft()
        return origin, self._path.finish(batch)

    def cancel(self) -> None:
        """Drop all micro-batches, and what has not begun of them."""
        for batch, _ in self._batches:
            if batch.scores is not None:
                batch.scores.cancel()
        self._batches.clear()
