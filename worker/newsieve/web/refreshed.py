"""A value that takes a while to find out: it is found out anew when somebody asks and it is old.

Those who ask at the same time share one answer. It does not know what is found out.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from newsieve.errors import NewsieveError

T = TypeVar("T")


class Refreshed(Generic[T]):
    """The latest value of something; any thread may ask."""

    def __init__(
        self,
        find_out: Callable[[], T],
        fresh_seconds: float,
        patience_seconds: float | None = None,
    ) -> None:
        """`find_out` may raise NewsieveError; its value is good for so many seconds. With a
        patience it is run by a thread of its own, and who asks waits no longer than that, and not
        at all after an error."""
        self._find_out = find_out
        self._fresh_seconds = fresh_seconds
        self._patience_seconds = patience_seconds
        self._lock = threading.Lock()
        self._pending: Future[None] | None = None
        self._value: T | None = None
        self._asked_at = -math.inf
        self.why_not = ""  # the error of the last attempt, "" where there was none

    def get(self) -> T | None:
        """Return the value; after an error, or where the patience ends, the one before it, None
        where there never was one."""
        with self._lock:
            pending, is_mine = self._pending, False
            if pending is None and time.monotonic() - self._asked_at >= self._fresh_seconds:
                self._pending = pending = Future()
                is_mine = True
        if pending is None:
            return self._value
        if is_mine and self._patience_seconds is None:
            self._answer(pending)
        elif is_mine:
            threading.Thread(target=self._answer, args=(pending,), daemon=True).start()
        patience = self._patience_seconds
        try:
            pending.result(0.0 if patience is not None and self.why_not else patience)
        except TimeoutError:
            self.why_not = self.why_not or "no answer yet"
        return self._value

    def _answer(self, pending: Future[None]) -> None:
        """Find the value out, for all who wait for it."""
        error: BaseException | None = None
        try:
            self._value, self.why_not = self._find_out(), ""
        except NewsieveError as reason:
            self.why_not = str(reason)
        except BaseException as fault:  # noqa: BLE001 - raised again where somebody waits
            error = fault
        with self._lock:
            self._asked_at = time.monotonic()
            self._pending = None
        if error is None:
            pending.set_result(None)
        else:
            pending.set_exception(error)
