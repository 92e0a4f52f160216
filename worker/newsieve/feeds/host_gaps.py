"""Keeps requests to one host apart in time, whichever threads make them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

MAX_HOSTS: Final = 5_000  # remembered at a time; those whose time is over are forgotten first


class HostGaps:
    """When each host may be asked next."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next: dict[str, float] = {}
        self._lock = threading.Lock()

    def reserve(self, host: str, gap_seconds: float, longest_wait_seconds: float) -> float | None:
        """Take the host's next turn, after which it rests for the gap. Return the seconds until
        then, or None, and take nothing, where they are more than the longest wait."""
        now = self._clock()
        with self._lock:
            turn = max(self._next.get(host, now), now)
            if turn - now > longest_wait_seconds:
                return None
            if len(self._next) >= MAX_HOSTS:
                self._next = {name: when for name, when in self._next.items() if when > now}
            self._next[host] = turn + gap_seconds
            return turn - now
