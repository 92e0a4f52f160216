"""A scorer whose answers are known beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future

import numpy as np

from newsieve.inference.scorer import FilterScores, Tokens


class FivesScorer:
    """Scores every dimension 5: at once, or when released."""

    def __init__(self, *, is_held: bool) -> None:
        self._is_held = is_held
        self._held: list[tuple[Future[dict[str, FilterScores]], dict[str, FilterScores]]] = []

    def submit(
        self, texts: Sequence[str], wanted: Mapping[str, Sequence[int]]
    ) -> Future[dict[str, FilterScores]]:
        future: Future[dict[str, FilterScores]] = Future()
        tokens = [Tokens([1], truncated=False)] * len(texts)
        found = {
            name: FilterScores(np.full((len(rows), 8), 5.0), tokens[: len(rows)], {})
            for name, rows in wanted.items()
        }
        self._held.append((future, found))
        if not self._is_held:
            self.release()
        return future

    def release(self) -> None:
        while self._held:
            future, found = self._held.pop()
            future.set_result(found)

    def close(self) -> None:
        """Nothing to end."""
