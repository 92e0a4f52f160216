"""What a child process used: CPU seconds and peak memory, by the kernel's own account.

Wall time says how busy the machine was; these say what the input cost.
"""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.support.workers import ROOT

KIB = 1_024
READ_EVERY_SECONDS = 0.02


@dataclass(frozen=True)
class Metered:
    """A process that has ended. `cpu_seconds` is user and system time of all its threads and of
    the children it waited for; `peak_bytes` is its own, but for its last moment."""

    code: int
    out: bytes
    err: str
    cpu_seconds: float
    peak_bytes: int


def metered(
    command: Sequence[str],
    *,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    seconds: float = 120,
) -> Metered:
    """Run a command to its end. Raises subprocess.TimeoutExpired, having killed it."""
    with (
        tempfile.TemporaryFile() as source,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        source.write(stdin)
        source.seek(0)
        child = subprocess.Popen(
            list(command),
            stdin=source,
            stdout=out,
            stderr=err,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        )
        watched = Watched(child.pid)
        usage = wait_for(child, seconds)
        watched.join()
        for stream in (out, err):
            stream.seek(0)
        return Metered(
            code=child.returncode,
            out=out.read(),
            err=err.read().decode(errors="replace"),
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            # not ru_maxrss, in which a child has what its parent held when it was started
            peak_bytes=watched.usage.peak_bytes,
        )


def wait_for(child: subprocess.Popen[Any], seconds: float) -> resource.struct_rusage:
    """The kernel's account of one child and of those that it waited for. Kills it when its time is
    up."""
    killer = threading.Timer(seconds, child.kill)
    killer.start()
    try:
        _, status, usage = os.wait4(child.pid, 0)
    finally:
        is_late = not killer.is_alive()
        killer.cancel()
    child.returncode = os.waitstatus_to_exitcode(status)
    if is_late:
        raise subprocess.TimeoutExpired(child.args, seconds)
    return usage


@dataclass(frozen=True)
class Usage:
    """Of a process that runs, so far. `peak_bytes` is the highest it ever held in memory."""

    cpu_seconds: float
    peak_bytes: int


def usage_of(pid: int) -> Usage:
    """Read from /proc, which has the peak."""
    times = psutil.Process(pid).cpu_times()
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return Usage(times.user + times.system, int(peak.split()[1]) * KIB)


class Watched(threading.Thread):
    """Reads what a process uses until it ends, for one that others wait for."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self.usage = Usage(0, 0)
        self.start()

    def run(self) -> None:
        while True:
            try:
                self.usage = usage_of(self._pid)
            except (psutil.Error, OSError, StopIteration):  # it has ended
                return
            time.sleep(READ_EVERY_SECONDS)
