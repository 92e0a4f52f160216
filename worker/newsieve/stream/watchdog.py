"""Ends a process whose loop has stopped beating, or whose scorer does not come back: alive and idle
is the one state nobody notices.

librdkafka calls can hang for ever after a broker's fault; a model or a tokenizer may on a text, or
when its device is gone. The watchdog prints every thread's stack and exits with the code that asks
a supervisor to restart.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from newsieve.errors import EXIT_RESTART

SILENCE_SECONDS: Final = 45  # more than the slowest honest call: send_offsets, twice 10 s
# A model of 1.5 billion parameters takes 270 s for the 2,048 tokens of a forward pass on half of a
# CPU with 40 GFLOP/s, and twice that if it waits for another to end. All else takes seconds.
STEP_SECONDS: Final = 600
CHECK_SECONDS: Final = 1.0


class Watchdog:
    """Exits with code 3 when `beat` was not called for `silence_seconds`, or when a `step` has
    lasted `step_seconds`."""

    def __init__(
        self, silence_seconds: float = SILENCE_SECONDS, step_seconds: float = STEP_SECONDS
    ) -> None:
        self._silence = silence_seconds
        self._step = step_seconds
        self._is_watching = False
        self._beaten_at = self._resumed_at = time.monotonic()
        self._steps: dict[int, float] = {}  # by thread: since when it has been at one

    def start(self) -> None:
        """Watch the process from now on."""
        self._start_over()
        self._is_watching = True
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Watch the process no longer."""
        self._is_watching = False

    def beat(self) -> None:
        """Report that the loop is alive."""
        self._beaten_at = time.monotonic()

    @contextmanager
    def step(self) -> Iterator[None]:
        """Watch what the calling thread does in this block, beside the loop: it has to come out
        again. Blocks of one thread do not nest."""
        thread = threading.get_ident()
        self._steps[thread] = time.monotonic()
        try:
            yield
        finally:
            del self._steps[thread]

    def is_alive(self) -> bool:
        """Whether there is nothing to complain of. Before it watches there never is: loading a
        student may take minutes, and is no silence."""
        return not self._is_watching or self._complaint() is None

    def _complaint(self) -> str | None:
        now = time.monotonic()
        if now - self._beaten_at >= self._silence:
            return f"no heartbeat for {self._silence} s"
        begun_at = min(self._steps.copy().values(), default=now)
        if now - max(begun_at, self._resumed_at) >= self._step:
            return f"the scorer has been at one step for {self._step} s"
        return None

    def _start_over(self) -> None:
        self.beat()
        self._resumed_at = time.monotonic()

    def _watch(self) -> None:
        checked_at = time.monotonic()
        while (complaint := self._complaint()) is None:
            time.sleep(CHECK_SECONDS)
            if not self._is_watching:
                return
            now = time.monotonic()
            if now - checked_at > 2 * CHECK_SECONDS:  # the whole process was stopped
                self._start_over()
            checked_at = now
        sys.stderr.write(f"watchdog: {complaint}; the stacks:\n")
        faulthandler.dump_traceback(all_threads=True)
        os._exit(EXIT_RESTART)
