"""Limits on calls that never return, and on how often something is done again.

librdkafka's send_offsets_to_transaction can hang for ever after a broker's restart. Who waits for
it in a thread of its own can leave it behind, with its producer, and go on with another one.
It does not know what is called.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from newsieve.kafka.timeouts import TIMEOUTS

A_MINUTE: Final = 60.0

Answer = TypeVar("Answer")
_Asked = tuple[Callable[[float], Any], float, "Future[Any]"]


class CallTimedOut(Exception):
    """The call has not returned in its time. It may yet return, and nobody will hear of it."""


class TimedCaller:
    """Makes one call at a time, for one thread."""

    def __init__(self, grace_seconds: float = TIMEOUTS.grace_seconds) -> None:
        """`grace_seconds` is how much longer than its own limit a call may take."""
        self._grace_seconds = grace_seconds
        self._asked: SimpleQueue[_Asked] | None = None

    def call(self, function: Callable[[float], Answer], seconds: float) -> Answer:
        """Call the function with a limit in seconds. Raises CallTimedOut, and what it raises."""
        if self._asked is None:
            self._asked = SimpleQueue()
            # A daemon, unlike an executor's: a process can end without it.
            threading.Thread(target=_serve, args=(self._asked,), name="calls", daemon=True).start()
        answer: Future[Answer] = Future()
        self._asked.put((function, seconds, answer))
        try:
            return answer.result(seconds + self._grace_seconds)
        except TimeoutError:
            self._asked = None  # its thread hangs: leave it
            raise CallTimedOut(f"a call has not returned after {seconds:.0f} s") from None


def _serve(asked: SimpleQueue[_Asked]) -> None:
    while True:
        function, seconds, answer = asked.get()
        try:
            answer.set_result(function(seconds))
        except BaseException as error:  # noqa: BLE001 - the caller's to judge
            answer.set_exception(error)
        del function, answer  # or the last call's producer would live until the next


class RateLimit:
    """Limits how often something is done within a minute."""

    def __init__(self, times: int) -> None:
        self.times = times
        self._done_at: list[float] = []

    def try_acquire(self) -> bool:
        """Whether it may be done now; it then counts as done."""
        now = time.monotonic()
        self._done_at = [at for at in self._done_at if now - at < A_MINUTE]
        if len(self._done_at) >= self.times:
            return False
        self._done_at.append(now)
        return True
