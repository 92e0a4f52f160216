"""The watchdog ends what is alive and idle, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys, time
from worker.observe.watchdog import Watchdog
watchdog = Watchdog(silence_seconds=1.5)
watchdog.start()
for _ in range({beats}):
    time.sleep(0.2)
    watchdog.beat()
{then}
"""


def run(beats: int, then: str) -> tuple[subprocess.CompletedProcess[str], float]:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(beats=beats, then=then)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done, time.monotonic() - started


def test_a_silent_process_ends_with_the_code_that_asks_for_a_restart() -> None:
    """And leaves every thread's stack, so that somebody can see where it hung."""
    done, _ = run(beats=1, then="time.sleep(40)")

    assert done.returncode == 3
    assert "no heartbeat for 1.5 s" in done.stderr
    assert "Current thread" in done.stderr and 'File "<string>"' in done.stderr


def test_a_beating_process_lives() -> None:
    """Longer than the silence that would have ended it."""
    done, seconds = run(beats=15, then="sys.exit(0)")

    assert done.returncode == 0
    assert seconds > 3
