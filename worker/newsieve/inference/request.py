"""One submission to the micro-batcher: its texts that wait, its scores, and its future.

Any thread may resolve it or cancel it; it is resolved once. It knows nothing of batches.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from newsieve.errors import RecordError
from newsieve.inference.forward import Scores
from newsieve.inference.scorer import FilterScores


@dataclass(slots=True, eq=False)
class Request:
    """One submission: its future, and the scores that are there so far, by filter."""

    future: Future[dict[str, FilterScores]]
    scored: dict[str, FilterScores] = field(default_factory=dict)
    open_rows: int = 0
    is_resolved: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)  # guards `is_resolved`

    def score_row(self, name: str, row: int, scores: Scores, fault: RecordError | None) -> None:
        """Take the (D,) scores of one row, or the reason why it has none. The last row resolves the
        future."""
        self.scored[name].scores[row] = scores
        if fault is not None:
            self.scored[name].faults[row] = fault
        self.open_rows -= 1
        if not self.open_rows:
            self.complete()

    def complete(self) -> None:
        """Resolve the future by the scores, unless it is resolved."""
        if self.begin_to_resolve():
            self.future.set_result(self.scored)

    def fail(self, error: BaseException) -> None:
        """Resolve the future by an error, unless it is resolved."""
        if self.begin_to_resolve():
            self.future.set_exception(error)

    def begin_to_resolve(self) -> bool:
        """Whether the caller is to resolve the future: the first who asks, unless it was cancelled,
        which those who wait for several futures learn here."""
        with self.lock:
            if self.is_resolved:
                return False
            self.is_resolved = True
            return self.future.set_running_or_notify_cancel()


@dataclass(frozen=True, slots=True)
class WaitingText:
    """A tokenized text that one filter has yet to score."""

    request: Request
    row: int  # in the request's rows of this filter
    ids: list[int]
    since: float  # by the monotonic clock
