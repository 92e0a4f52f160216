"""A backlog does not care how large it is, and neither does a worker's memory."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys

from newsieve.devbroker.broker import Broker
from newsieve.kafka.config import Cluster
from tests.support.raw_topic import SAMPLE, fill
from tests.support.workers import ROOT, WorkerProcess

MEASURED = ROOT / "benchmarks" / "contenders" / "newsieve_worker.py"
SMALL, LARGE = 40_000, 120_000
GROWTH_MIB = 80.0  # the fetch queue fills and levels; what was taken, if kept, is 200 more


def peak_mib(cluster: Cluster, records: int) -> float:
    """Of a worker whose scorer is instant, on a backlog of so many records."""
    prefix = fill(cluster, SAMPLE, records, ("uplifting",))
    task = {
        "servers": cluster.bootstrap_servers,
        "topic": f"{prefix}.raw",
        "out": "1",
        "group": f"memory-{secrets.token_hex(3)}",
        "records": str(records),
    }
    start = [sys.executable, str(MEASURED)]
    if WorkerProcess.sabotage is not None:
        start = [sys.executable, "-m", "tests.faults.breakable", "--sabotage"]
        start += [WorkerProcess.sabotage, "--script", str(MEASURED)]
    done = subprocess.run(
        start + [word for name, value in task.items() for word in (f"--{name}", value)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    found: float = json.loads(done.stdout.splitlines()[-1])["peak_mib"]
    return found


def test_memory_does_not_grow_with_the_backlog(broker: Broker) -> None:
    """Three times the records, the same memory."""
    cluster = Cluster(broker.bootstrap_servers, {})

    small, large = (peak_mib(cluster, records) for records in (SMALL, LARGE))

    assert large < small + GROWTH_MIB
