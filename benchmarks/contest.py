"""Runs one contender, a process of its own, and takes its report."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

from newsieve.kafka.config import Cluster

CONTENDERS = Path(__file__).parent / "contenders"
ROOT = Path(__file__).resolve().parents[1]
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
