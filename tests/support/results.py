"""Prints measurements with date, command and machine, and writes them to benchmarks/results."""

from __future__ import annotations

import datetime as dt
import os
import platform
import shlex
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"


def machine() -> str:
    """The processor, its cores, memory and instructions that matter here."""
    cpu, flags = platform.processor() or platform.machine(), set[str]()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                cpu = value.strip()
            if name.strip() == "flags":
                flags = set(value.split())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    has = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GiB, {' '.join(has) or 'no AVX'}"


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Median, with the smallest and largest."""
    middle = statistics.median(values)
    return f"{middle:.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def publish(title: str, lines: Sequence[str], save: str | None) -> None:
    """Print the report; with `save`, also write it to results/."""
    program = sys.modules["__main__"].__spec__
    words = [program.name if program else Path(sys.argv[0]).stem, *sys.argv[1:]]
    if save:
        at = words.index("--save")
        words[at : at + 1 + (save in words[at + 1 : at + 2])] = []
    command = "python -m " + " ".join(
        shlex.quote(Path(word).name if "/" in word else word) for word in words
    )
    head = [
        f"# {title}",
        "",
        f"{dt.datetime.now(dt.UTC).date().isoformat()}, {machine()}, Python "
        f"{platform.python_version()}. `{command}`",
        "",
    ]
    text = "\n".join([*head, *lines]) + "\n"
    sys.stdout.write(text)
    if save:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{save}.md").write_text(text, encoding="utf-8")
