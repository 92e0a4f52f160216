"""A limit on how long something may take, by the monotonic clock.

One deadline is handed down to all that has to be over by then. It does not know what it limits.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Deadline:
    """A moment, so many seconds after it was made."""

    __slots__ = ("_clock", "_ends_at")

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_at = clock() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the moment has come."""
        return self._clock() >= self._ends_at

    @property
    def seconds_left(self) -> float:
        """The seconds until the moment, and 0 once it has come."""
        return max(self._ends_at - self._clock(), 0.0)
