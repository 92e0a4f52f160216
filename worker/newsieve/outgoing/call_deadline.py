"""Runs work that waits for a network, and ends it at its deadline, wherever it waits then.

A time-out of each read or write does not limit the whole: a byte now and then stretches it for
ever. On an event loop everything that waits can be cancelled, from the name's look-up to the last
byte. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Closed(Exception):
    """The loop is closed, or was closed while the work waited."""


class Deadlines:
    """An event loop on a thread of its own, for use from any thread but that one."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._is_closed = False
        self._lock = threading.Lock()  # nothing is submitted to a loop that is about to end
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Callable[[], Coroutine[Any, Any, T]], seconds: float) -> T:
        """Run the work and return its result. Raises TimeoutError, Closed, or what the work
        raises."""

        async def in_time() -> T:
            async with asyncio.timeout(seconds):
                return await work()

        with self._lock:
            if self._is_closed:
                raise Closed
            result = asyncio.run_coroutine_threadsafe(in_time(), self._loop)
        try:
            return result.result()
        except concurrent.futures.CancelledError:
            raise Closed from None

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Cancel what is under way, run `last`, and end the thread."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            ended = asyncio.run_coroutine_threadsafe(_break_off(last), self._loop)
        ended.result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _break_off(last: Callable[[], Coroutine[Any, Any, None]]) -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await last()
