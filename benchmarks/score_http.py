"""`POST /v1/score` under many clients, beside `newsieve score` on the same articles and student.

    python -m benchmarks.score_http [--articles FILE] [--rounds N] [--count N] [--clients N]

The server is `newsieve serve --score` on a broker. Each client has a connection of its own, sends
one article at a time, and the next as soon as the answer is there. The two take turns; while one is
measured, the server's process is there and idle. Throughput is that of the middle of a round: its
beginning and end, when not all are busy, do not count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import psutil

from benchmarks.arrivals import read_articles
from newsieve.devbroker.broker import find_or_start
from newsieve.kafka.admin import TopicAdmin
from newsieve.kafka.config import Cluster
from newsieve.settings.worker import WorkerSettings
from newsieve_schemas.topics import topics
from tests.support.filters import load
from tests.support.raw_topic import SAMPLE
from tests.support.results import publish, spread

FILTER = "sustainability"  # blocks nothing: every article goes through the model
NEWSIEVE = (sys.executable, "-m", "newsieve")
START_SECONDS = 300
LOADED = "student.loaded"
BATCH = WorkerSettings().batch_articles  # lines that `newsieve score` prints at once
UNFINISHED = WorkerSettings().batches_in_flight  # batches at the end that are not followed by more
ANSWERS = (b"HTTP/1.1 200 ", b"HTTP/1.1 422 ")  # a record, or why there is none


@dataclass
class Rounds:
    """What one contender showed in each round."""

    rates: list[float] = field(default_factory=list)  # articles a second
    cpu_milliseconds: list[float] = field(default_factory=list)  # for each article
    latencies: list[np.ndarray] = field(default_factory=list)  # seconds


def main() -> None:
    options = _options()
    articles = [json.dumps(item).encode() for item in read_articles(options.articles, 10**6)]
    lines = list(islice(cycle(articles), options.count))
    command, server = Rounds(), Rounds()
    with (
        find_or_start(os.environ, lambda text: sys.stderr.write(text + "\n")) as broker,
        tempfile.TemporaryDirectory() as folder,
        _server(broker.bootstrap_servers, Path(folder)) as (process, port),
    ):
        asyncio.run(_post_all(port, lines[: 2 * options.clients], options.clients))  # warm
        for number in range(options.rounds):
            _measure_server(process, port, lines, options.clients, server)
            _measure_command(lines, command)
            _say(f"round {number + 1}: {server.rates[-1]:.1f} by HTTP, {command.rates[-1]:.1f}")
    publish("Scores over HTTP", _table(options, command, server), options.save)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=Path, default=SAMPLE)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=1_280, help="articles, for each in a round")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--save")
    return parser.parse_args()


@contextmanager
def _server(servers: str, folder: Path) -> Iterator[tuple[psutil.Process, int]]:
    """Run the server, and give its process and port once it answers."""
    prefix = f"bench-{secrets.token_hex(3)}"
    tiers = {FILTER: load(FILTER).definition.published_tiers}
    TopicAdmin(Cluster(servers, {})).create(topics(prefix, tiers))
    environment = {
        **os.environ,
        "NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": servers,
        "NEWSIEVE_KAFKA__TOPIC_PREFIX": prefix,
        "NEWSIEVE_WORKER__FILTERS": FILTER,
        "NEWSIEVE_OBSERVE__PORT": "0",
        "NEWSIEVE_SERVE__PORT": "0",
        "NEWSIEVE_SERVE__STORE": str(folder / "newsieve.db"),
        "NEWSIEVE_SERVE__REQUESTS_PER_MINUTE": "1000000",  # all clients have one address
    }
    log = folder / "server.log"
    with log.open("wb") as output:
        process = psutil.Popen(
            [*NEWSIEVE, "serve", "--score"], env=environment, stdout=output, stderr=output
        )
    try:
        yield process, _port(log, process)
    finally:
        process.terminate()
        process.wait(60)


def _port(log: Path, process: psutil.Popen) -> int:
    """Wait for the address in the server's log, and return its port."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_bytes().splitlines():
            if b"site.opened" in line:
                return int(json.loads(line)["address"].rstrip("/").rpartition(":")[2])
        time.sleep(0.1)
    raise SystemExit(f"the server does not start:\n{log.read_text()}")


def _measure_server(
    process: psutil.Process, port: int, lines: Sequence[bytes], clients: int, rounds: Rounds
) -> None:
    used = _cpu_seconds(process)
    ends, latencies = asyncio.run(_post_all(port, lines, clients))
    rounds.cpu_milliseconds.append(1e3 * (_cpu_seconds(process) - used) / len(lines))
    rounds.rates.append(_rate(ends, BATCH, len(ends) - clients))
    rounds.latencies.append(np.array(latencies))


def _rate(ends: Sequence[float], first: int, last: int) -> float:
    """Articles a second from the end of the first to that of the last of these."""
    return (last - first) / (ends[last - 1] - ends[first - 1])


async def _post_all(
    port: int, lines: Sequence[bytes], clients: int
) -> tuple[list[float], list[float]]:
    """Post each article by one of the clients. Returns when answers came, and the latencies of
    those that were asked for while all clients were busy."""
    waiting = iter(lines)
    ends, latencies = list[float](), list[float]()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for line in waiting:
            begun = time.perf_counter()
            writer.write(
                b"POST /v1/score?filter=%b HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (FILTER.encode(), len(line), line)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(ANSWERS):
                raise SystemExit(head.decode())
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            ends.append(time.perf_counter())
            if clients < len(ends) <= len(lines) - clients:
                latencies.append(ends[-1] - begun)
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return ends, latencies


def _measure_command(lines: Sequence[bytes], rounds: Rounds) -> None:
    """Run `newsieve score`, and feed it once its student is loaded."""
    process = psutil.Popen(
        [*NEWSIEVE, "score", "--filter", FILTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    for line in process.stderr:
        if LOADED.encode() in line:
            break
    with tempfile.TemporaryFile() as file:  # so that nobody has to write while others read
        file.write(b"\n".join(lines))
        file.seek(0)
        writer = subprocess.Popen(["cat"], stdin=file, stdout=process.stdin)
        process.stdin.close()
        ends, used = list[float](), list[float]()
        last = len(lines) - UNFINISHED * BATCH
        for _ in process.stdout:
            ends.append(time.perf_counter())
            if len(ends) in {BATCH, last}:
                used.append(_cpu_seconds(process))
        writer.wait()
    if process.wait(60) > 1 or len(ends) != len(lines):  # 1: dead letters are among the lines
        raise SystemExit("newsieve score did not score all articles")
    rounds.rates.append(_rate(ends, BATCH, last))
    rounds.cpu_milliseconds.append(1e3 * (used[1] - used[0]) / (last - BATCH))


def _cpu_seconds(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def _table(options: argparse.Namespace, command: Rounds, server: Rounds) -> list[str]:
    shares = [100 * http / plain for http, plain in zip(server.rates, command.rates, strict=True)]
    by_cpu = [
        100 * plain / http
        for http, plain in zip(server.cpu_milliseconds, command.cpu_milliseconds, strict=True)
    ]
    milliseconds = [
        spread([1e3 * float(np.percentile(item, share)) for item in server.latencies], 0)
        for share in (50, 95, 99, 100)
    ]
    return [
        f"{options.rounds} rounds of {options.count:,} articles of `{options.articles.name}` each, "
        f"filter {FILTER} with the student that ships; {options.clients} clients, one article a "
        "request. Medians, smallest and largest. Clients, server and broker share the machine.",
        "",
        "| | articles/s | CPU, ms an article |",
        "|---|---|---|",
        _row("`newsieve score`", command),
        _row("`POST /v1/score` of `newsieve serve --score`", server),
        "",
        f"By HTTP the throughput is **{spread(shares, 0)} %** of the command's in the same round; "
        f"the command takes {spread(by_cpu, 0)} % of the server's CPU for an article.",
        "",
        "| latency by HTTP, ms | p50 | p95 | p99 | max |",
        "|---|---|---|---|---|",
        f"| {options.clients} clients | {' | '.join(milliseconds)} |",
    ]


def _row(name: str, rounds: Rounds) -> str:
    return f"| {name} | {spread(rounds.rates)} | {spread(rounds.cpu_milliseconds)} |"


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
