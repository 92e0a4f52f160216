"""What a contender prints: records, CPU and wall seconds from ready to done. Standard library only,
since the peers run it in environments of their own."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Task:
    """The command line of every contender."""

    servers: str
    topic: str
    out: str
    group: str
    records: int


class Meter:
    """CPU of all threads of this process, from construction on."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self._cpu = _cpu_seconds()
        self._wall = time.perf_counter()

    def report(self, records: int, **more: object) -> None:
        """One JSON line on stdout."""
        found = {
            "records": records,
            "cpu_seconds": _cpu_seconds() - self._cpu,
            "wall_seconds": time.perf_counter() - self._wall,
            "peak_mib": _peak_mib(),
            **more,
        }
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


def read_task() -> Task:
    """Parse the command line."""
    parser = argparse.ArgumentParser()
    for name in ("servers", "topic", "out", "group"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--records", type=int, required=True)
    return Task(**vars(parser.parse_args()))


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_mib() -> float:
    """Of this program alone: getrusage counts the process it was forked from."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
