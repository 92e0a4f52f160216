"""A value that takes a while to find out: it is found out anew when somebody asks and it is old.

Those who ask at the same time wait for the first answer, and later have the one before it, so that
something that does not answer holds one thread. It does not know what is found out.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from newsieve.errors import NewsieveError

T = TypeVar("T")


class Refreshed(Generic[T]):
    """The latest value of something; any thread may ask."""

    def __init__(self, find_out: Callable[[], T], fresh_seconds: float) -> None:
        """`find_out` may raise NewsieveError; its value is good for so many seconds."""
        self._find_out = find_out
        self._fresh_seconds = fresh_seconds
        self._lock = threading.Lock()
        self._value: T | None = None
        self._asked_at = -math.inf
        self._has_answer = False
        self.why_not = ""  # the error of the last attempt, "" where there was none

    def get(self) -> T | None:
        """Return the value; after an error the one before it, None where there never was one."""
        if not self._lock.acquire(blocking=not self._has_answer):
            return self._value
        try:
            if time.monotonic() - self._asked_at >= self._fresh_seconds:
                try:
                    self._value, self.why_not = self._find_out(), ""
                except NewsieveError as error:
                    self.why_not = str(error)
                self._asked_at = time.monotonic()
                self._has_answer = True
            return self._value
        finally:
            self._lock.release()
