"""The meter itself: what it says of a child is what the child used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.hostile.metered import metered

MEGABYTE = 1_000_000


def test_cpu_and_memory_are_the_childs_own() -> None:
    """Not what waiting took, nor what this process uses."""
    program = (
        "import sys, time; held = bytearray(b'x') * 200_000_000; time.sleep(1)\n"
        "until = time.process_time() + 0.5\n"
        "while time.process_time() < until: pass\n"
        "sys.stdout.write(sys.stdin.read()); sys.exit(3)"
    )

    used = metered([sys.executable, "-c", program], stdin=b"through")

    assert (used.code, used.out) == (3, b"through")
    assert 0.5 <= used.cpu_seconds < 1.5
    assert 200 * MEGABYTE < used.peak_bytes < 300 * MEGABYTE


def test_what_does_not_end_is_killed() -> None:
    """A hang is a failure, not a test that hangs."""
    with pytest.raises(subprocess.TimeoutExpired):
        metered([sys.executable, "-c", "import time; time.sleep(60)"], seconds=0.5)
