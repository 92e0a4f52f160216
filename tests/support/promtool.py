"""Prometheus' own judge of rules: the one on the path, else Debian's, fetched, not installed."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

FETCH_SECONDS = 300  # 20 MB, and perhaps the package lists before


class PromtoolMissing(Exception):
    """There is none, and none could be fetched."""


def find_promtool() -> Path:
    """Raises PromtoolMissing, saying how to provide it."""
    there = shutil.which("promtool")
    if there is not None:
        return Path(there)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "newsieve"
    folder = cache / "prometheus"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "prometheus.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _fetch(folder)
    return folder / "usr" / "bin" / "promtool"


def _fetch(folder: Path) -> None:
    """All of it or nothing. Raises PromtoolMissing."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise PromtoolMissing("no promtool: install Prometheus, whose rules are to be tested")
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        download = ["apt-get", "download", "prometheus"]
        if not _is_done(download, scratch):
            _is_done(["apt-get", "update"], scratch)  # a fresh container has no package lists
            if not _is_done(download, scratch):
                raise PromtoolMissing("no promtool, and `apt-get download prometheus` fails")
        (package,) = Path(scratch).glob("prometheus_*.deb")
        if not _is_done(["dpkg", "-x", str(package), f"{scratch}/unpacked"], scratch):
            raise PromtoolMissing(f"no promtool, and `dpkg -x {package.name}` fails")
        Path(scratch, "unpacked").rename(folder)


def _is_done(command: Sequence[str], folder: str) -> bool:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, check=False, timeout=FETCH_SECONDS
    )
    return done.returncode == 0
