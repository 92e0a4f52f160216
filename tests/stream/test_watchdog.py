"""The watchdog ends what is alive and idle, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys, time
from newsieve.stream.watchdog import Watchdog
watchdog = Watchdog(silence_seconds=1.5, step_seconds=2)
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


def test_a_process_whose_scorer_hangs_ends_though_its_loop_beats() -> None:
    """What a thread beside the loop has begun has to end in its time."""
    hanging = """
def hang():
    with watchdog.step():
        time.sleep(40)
import threading
threading.Thread(target=hang, daemon=True).start()
for _ in range(100):
    time.sleep(0.2)
    watchdog.beat()
"""
    done, seconds = run(beats=1, then=hanging)

    assert done.returncode == 3
    assert "the scorer has been at one step for 2 s" in done.stderr
    assert "in hang" in done.stderr
    assert seconds < 20


def test_a_process_may_do_step_after_step() -> None:
    """However long all together, also if one fails."""
    stepping = """
for _ in range(15):
    try:
        with watchdog.step():
            time.sleep(0.2)
            watchdog.beat()
            raise ValueError
    except ValueError:
        pass
sys.exit(0)
"""
    done, seconds = run(beats=1, then=stepping)

    assert done.returncode == 0
    assert seconds > 3
