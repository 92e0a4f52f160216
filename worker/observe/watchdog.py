"""Ends a process whose loop has stopped beating: alive and idle is the one state nobody notices.

librdkafka calls can hang for ever after a broker's fault. The watchdog prints every thread's
stack and exits with the code that asks a supervisor to restart.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from typing import Final

from worker.errors import EXIT_RESTART

SILENCE_SECONDS: Final = 45  # more than the slowest honest call: send_offsets, twice 10 s
CHECK_SECONDS: Final = 1.0


class Watchdog:
    """Beat it often enough."""

    def __init__(self, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._silence = silence_seconds
        self._is_watching = False
        self._beaten_at = time.monotonic()

    def start(self) -> None:
        """Watch from now on."""
        self.beat()
        self._is_watching = True
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def beat(self) -> None:
        self._beaten_at = time.monotonic()

    def is_alive(self) -> bool:
        """Always, until it watches: loading a student may take minutes, and is no silence."""
        return not self._is_watching or self._is_beating()

    def _is_beating(self) -> bool:
        return time.monotonic() - self._beaten_at < self._silence

    def _watch(self) -> None:
        checked_at = time.monotonic()
        while self._is_beating():
            time.sleep(CHECK_SECONDS)
            now = time.monotonic()
            if now - checked_at > 2 * CHECK_SECONDS:  # the whole process was stopped: start over
                self.beat()
            checked_at = now
        sys.stderr.write(f"watchdog: no heartbeat for {self._silence} s; the stacks:\n")
        faulthandler.dump_traceback(all_threads=True)
        os._exit(EXIT_RESTART)
