"""A circuit breaker: when the provider may be called again. Pure: time and chance are arguments.

One breaker stands before all calls, since a rate limit or a fault of one call holds for all. After
a failure no call is made for as long as the provider asks, else for longer and longer. After
several failures in a row the circuit is open: one call at a time tries whether the provider is
back. Articles that wait for it add to the label lag; they never become failed labels.
"""

from __future__ import annotations

from typing import Final

FIRST_SECONDS: Final = 1.0
MAX_SECONDS: Final = 120.0  # however long the provider asks for
OPEN_AFTER: Final = 5  # failures in a row
JITTER: Final = 0.5  # of a backoff; so that several oracles do not come back together
ADVICE_JITTER: Final = 0.1  # on top of what the provider asks for


class CircuitBreaker:
    """Stands before all calls of one oracle. Times are seconds of a monotonic clock."""

    def __init__(self, first_seconds: float = FIRST_SECONDS) -> None:
        """`first_seconds` is the pause after a first failure."""
        self._first_seconds = first_seconds
        self.failures = 0  # in a row
        self._tripped_at = float("-inf")
        self._allows_at = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether the provider is taken to be away."""
        return self.failures >= OPEN_AFTER

    def allows_call(self, now: float, under_way: int) -> bool:
        """Whether one more call may start while so many are under way."""
        return now >= self._allows_at and not (self.is_open and under_way)

    def seconds_until_call(self, now: float) -> float:
        """Return how long no call may start."""
        return max(self._allows_at - now, 0.0)

    def answered(self) -> None:
        """End the row of failures: a call was answered."""
        self.failures = 0

    def failed(
        self, started_at: float, now: float, advised_seconds: float | None, chance: float
    ) -> None:
        """Count a call that started at `started_at` and was refused for now, or got no answer.
        `chance` is uniform in [0, 1). Calls that were under way together count as one failure."""
        if started_at >= self._tripped_at:
            self.failures += 1
            self._tripped_at = now
        self.failures = max(self.failures, 1)  # one of those together may have been answered
        if advised_seconds is not None:
            pause = advised_seconds * (1 + ADVICE_JITTER * chance)
        else:
            backoff = self._first_seconds * 2 ** min(self.failures - 1, 10)
            pause = backoff * (1 - JITTER * chance)
        self._allows_at = max(self._allows_at, now + min(pause, MAX_SECONDS))
