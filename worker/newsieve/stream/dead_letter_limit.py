"""Stops a program that writes too many dead letters, before anything is dropped.

A stream that is suddenly all dead letters is a broken producer or a broken worker, not bad news.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from newsieve.errors import DeadLetterLimit
from newsieve.stream.outcome import Outcome


class DeadLetterLimiter:
    """Counts raw records with a dead letter. What a rewind takes back is not counted twice."""

    def __init__(self, max_ratio: float, window: int, max_consecutive: int) -> None:
        """Stop above `max_ratio` of the last `window` records, or at more than `max_consecutive`
        dead letters in a row."""
        self._max_ratio = max_ratio
        self._max_consecutive = max_consecutive
        self._recent: deque[bool] = deque(maxlen=window)
        self._in_a_row = 0
        self._errors: Counter[str] = Counter()
        self._before = (list[bool](), 0)

    def check(self, outcomes: Sequence[Outcome]) -> None:
        """Count one raw record. Raises DeadLetterLimit before it is published."""
        errors = [item.error.name for item in outcomes if item.error is not None]
        self._recent.append(bool(errors))
        self._in_a_row = self._in_a_row + 1 if errors else 0
        if not errors:
            return
        self._errors.update(errors)
        if self._in_a_row > self._max_consecutive:
            self._stop(f"more than {self._max_consecutive} records in a row are dead letters")
        full = len(self._recent) == self._recent.maxlen
        if full and sum(self._recent) > self._max_ratio * len(self._recent):
            self._stop(
                f"more than {self._max_ratio:.0%} of {len(self._recent)} records are dead letters"
            )

    def committed(self) -> None:
        """Keep what was counted so far, whatever is rolled back later."""
        self._before = (list(self._recent), self._in_a_row)

    def rolled_back(self) -> None:
        """Forget what was counted since the last commit: the same records come again."""
        recent, self._in_a_row = self._before
        self._recent.clear()
        self._recent.extend(recent)

    def _stop(self, what: str) -> None:
        common = ", ".join(f"{name} ({count})" for name, count in self._errors.most_common(3))
        raise DeadLetterLimit(
            f"{what}: {common}. Stopped before this record; nothing is dropped. `newsieve dlq "
            "list` shows them. Repair the producer, or raise worker.dead_letter_run or "
            "worker.dead_letter_ratio, and start again"
        )
