"""Runs one contender, a process of its own, and takes its report.

Peers run in environments of their own, which are made on first use, outside of the project.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from newsieve.kafka.config import Cluster

CONTENDERS = Path(__file__).parent / "contenders"
ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "newsieve" / "peers"
SECONDS = 3_000

Report = dict[str, float]


def run_contender(
    script: str, cluster: Cluster, topic: str, out: str, records: int, python: str | None = None
) -> Report:
    """Run a script of contenders/ by this environment's Python or by `python`, a peer's own."""
    done = subprocess.run(
        [
            python or sys.executable, str(CONTENDERS / script),
            "--servers", cluster.bootstrap_servers,
            "--topic", topic,
            "--out", out,
            "--group", f"bench-{secrets.token_hex(3)}",
            "--records", str(records),
        ],
        env=None if python else {**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )  # fmt: skip
    reports = [line for line in done.stdout.splitlines() if line.startswith(b'{"records"')]
    if not reports:
        raise SystemExit(f"{script} reported nothing:\n{done.stderr.decode()[-2_000:]}")
    report: Report = json.loads(reports[-1])
    return report


def own_python(name: str, packages: Sequence[str]) -> str:
    """Return the Python of an environment that holds these packages, and make it if need be."""
    wanted = "\n".join(packages)
    folder = CACHE / name
    python, holds = folder / "bin" / "python", folder / "packages.txt"
    if not holds.is_file() or holds.read_text() != wanted:
        sys.stderr.write(f"installing {', '.join(packages)} …\n")
        uv = [sys.executable, "-m", "uv", "--quiet"]
        subprocess.run([*uv, "venv", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([*uv, "pip", "install", "--python", python, *packages], check=True)
        holds.write_text(wanted)
    return str(python)
