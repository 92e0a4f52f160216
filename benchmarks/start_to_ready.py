"""How long a CPU worker takes from its start to /readyz, its files in the page cache, and why.

    python -m benchmarks.start_to_ready [--rounds N] [--save NAME]

The filter is sustainability, with the student that the package ships. The steps are those of a
worker that imports the large libraries one by one; the total is of the plain command.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks.contest import CONTENDERS, ROOT
from newsieve.devbroker.broker import find_or_start
from newsieve.kafka.admin import TopicAdmin
from newsieve.kafka.config import Cluster
from newsieve_schemas.topics import topics
from tests.support.filters import load
from tests.support.results import publish, spread

FILTER = "sustainability"
MOST_SECONDS = 300
POLL_SECONDS = 0.02
PLAIN = [sys.executable, "-m", "newsieve", "worker"]
TIMED = [sys.executable, str(CONTENDERS / "timed_worker.py")]
Steps = dict[str, dict[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save")
    options = parser.parse_args()
    wall, cpu, rest, steps = list[float](), list[float](), list[float](), list[Steps]()
    with find_or_start(os.environ, lambda text: sys.stderr.write(text + "\n")) as broker:
        _start(PLAIN, broker.bootstrap_servers)  # fills the page cache
        for _ in range(options.rounds):
            seconds, used, _ = _start(PLAIN, broker.bootstrap_servers)
            wall.append(seconds)
            cpu.append(used)
            timed, _, found = _start(TIMED, broker.bootstrap_servers)
            steps.append(found)
            rest.append(timed - sum(item["wall"] for item in found.values()))
            sys.stderr.write(f"{seconds:.2f} s, {used:.2f} s of CPU\n")
    publish("From start to ready", _table(wall, cpu, rest, steps), options.save)


def _start(command: Sequence[str], servers: str) -> tuple[float, float, Steps]:
    """Wall and CPU seconds until a worker is ready, and the steps that it printed."""
    prefix = f"bench-{secrets.token_hex(3)}"
    tiers = {FILTER: load(FILTER).definition.published_tiers}
    TopicAdmin(Cluster(servers, {})).create(topics(prefix, tiers))
    port = 20_000 + secrets.randbelow(10_000)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": servers,
        "NEWSIEVE_KAFKA__TOPIC_PREFIX": prefix,
        "NEWSIEVE_WORKER__GROUP": prefix,
        "NEWSIEVE_WORKER__FILTERS": FILTER,
        "NEWSIEVE_OBSERVE__PORT": str(port),
    }
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.DEVNULL
        )
        try:
            while not _is_ready(port):
                if process.poll() is not None or time.perf_counter() - started > MOST_SECONDS:
                    raise SystemExit(f"{' '.join(command)} does not become ready")
                time.sleep(POLL_SECONDS)
            wall, cpu = time.perf_counter() - started, _cpu_seconds(process.pid)
        finally:
            process.terminate()
            process.wait(60)
        output.seek(0)
        printed = [json.loads(line) for line in output if line.startswith(b'{"step"')]
    return wall, cpu, {item.pop("step"): item for item in printed}


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except (URLError, OSError):
        return False


def _cpu_seconds(pid: int) -> float:
    """Of all threads of a process so far, by Linux's account."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _table(wall: list[float], cpu: list[float], rest: list[float], steps: list[Steps]) -> list[str]:
    lines = [
        f"{len(wall)} rounds; medians, smallest and largest. From the process's start to the first "
        f"answer 200 of /readyz: **{spread(wall)} s**, with {spread(cpu)} s of CPU.",
        "",
        "| step | seconds | of CPU |",
        "|---|---|---|",
    ]
    for name in steps[0]:
        columns = [spread([item[name][kind] for item in steps], 2) for kind in ("wall", "cpu")]
        lines.append(f"| {name} | {' | '.join(columns)} |")
    lines.append(
        f"| the rest: the interpreter, settings, joining the group | {spread(rest, 2)} | |"
    )
    return lines


if __name__ == "__main__":
    main()
