"""Pages, API and events of `newsieve serve` under load: its CPU, its latencies, what arrives.

    python -m benchmarks.serve [--articles N] [--clients N] [--rate N] [--seconds N] [--save]

A store is filled with made-up articles; the real program serves it, beside a real broker on which
further ones arrive. Clients hold event streams, half of the API and half of the page, while others
ask for pages at a steady rate. What is measured is the program's own CPU time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import psutil
from confluent_kafka import Producer

from benchmarks.store import POLICY, records
from newsieve.devbroker.broker import find_or_start
from newsieve.kafka.admin import TopicAdmin
from newsieve.kafka.config import Cluster
from newsieve.records.decode import decode
from newsieve.store.rows import Row, outcome_row, text_row
from newsieve.store.writer import StoreWriter
from newsieve_schemas.topics import topics
from tests.support.filters import load
from tests.support.results import publish

ARRIVALS: Final = 10.0  # articles a second
PATHS: Final = (
    "/articles?filter=uplifting",
    "/articles?filter=uplifting&tier=connection",
    "/articles?filter=uplifting&q={word}",
    "/v1/articles?filter=uplifting&tier=impact",
    "/feeds/uplifting/connection.atom",
    "/status",
    "/dead-letters",
    "/articles/{id}",
)
BATCH: Final = 500


def fill(store: Path, count: int) -> None:
    """Fill a store with articles."""
    writer = StoreWriter(store)
    made = records(count)
    while batch := [record for _, record in zip(range(BATCH), made, strict=False)]:
        rows: list[Row] = [
            text_row(decode(item[0], POLICY), time.time_ns() // 10**6) for item in batch
        ]
        rows += [
            outcome_row(record)._replace(scored_ms=time.time_ns() // 10**6)
            for item in batch
            for record in item[1:]
        ]
        writer.write(rows, {})
    writer.close()


@contextmanager
def serving(servers: str, store: Path, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Run the program, and give its address and its process."""
    log = folder / "serve.log"
    variables = {
        "NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": servers, "NEWSIEVE_SERVE__STORE": str(store),
        "NEWSIEVE_SERVE__PORT": "0", "NEWSIEVE_SERVE__REQUESTS_PER_MINUTE": "1000000",
        "NEWSIEVE_WORKER__FILTERS": "uplifting,investment_risk",
    }  # fmt: skip
    with log.open("wb") as stream:
        program = subprocess.Popen(
            [sys.executable, "-m", "newsieve", "serve"],
            env=os.environ | variables, stdout=stream, stderr=stream,
        )  # fmt: skip
    try:
        while (found := re.search(r'"address": "http://([^/]+)/"', log.read_text())) is None:
            if program.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.1)
        yield found[1], psutil.Process(program.pid)
    finally:
        program.terminate()
        program.wait(30)


async def follow(address: str, path: str, counts: Counter[str], name: str) -> None:
    """Hold a stream of events, and count them."""
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
    try:
        while True:
            line = await reader.readline()
            if not line:
                return
            if line.startswith(b'data: {"article"') or b"<article" in line:
                counts[name] += 1
    finally:
        writer.close()


async def ask(
    address: str, paths: list[str], rate: float, seconds: float
) -> dict[str, list[float]]:
    """Ask for pages at a steady rate, and return the latencies by page, in seconds."""
    host, port = address.split(":")
    found: dict[str, list[float]] = {}

    async def one(path: str, due: float) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode()
        )
        answer = await reader.read(-1)
        writer.close()
        if b" 200 " not in answer[:20]:
            raise SystemExit(f"{path}: {answer[:200]!r}")
        found.setdefault(path, []).append(time.monotonic() - due)

    begun = time.monotonic()
    tasks = []
    for number in range(int(rate * seconds)):
        due = begun + number / rate
        await asyncio.sleep(max(due - time.monotonic(), 0))
        tasks.append(asyncio.create_task(one(paths[number % len(paths)], due)))
    await asyncio.gather(*tasks)
    return found


async def produce(servers: str, seconds: float) -> int:
    """Let articles arrive with their outcomes. Returns how many."""
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 5})
    begun, sent = time.monotonic(), 0
    for record in records(int(ARRIVALS * seconds), seed=77):
        await asyncio.sleep(max(begun + sent / ARRIVALS - time.monotonic(), 0))
        producer.produce("articles.raw", record[0].value)
        for outcome in record[1:]:
            producer.produce("articles.scored", outcome.value, headers=outcome.headers)
        producer.poll(0)
        sent += 1
    producer.flush()
    return sent


async def load_of(
    arguments: argparse.Namespace, address: str, process: psutil.Process, servers: str
) -> list[str]:
    """Put the load on, and return the table."""
    word = "the"
    paths = [path.format(word=word, id=1_000) for path in PATHS]
    counts: Counter[str] = Counter()
    streams = ["/v1/stream?filter=uplifting", "/stream?filter=uplifting"]
    followers = [
        asyncio.create_task(follow(address, streams[number % 2], counts, f"client {number}"))
        for number in range(arguments.clients)
    ]
    await asyncio.sleep(3)
    before, begun = process.cpu_times(), time.monotonic()
    latencies, sent = await asyncio.gather(
        ask(address, paths, arguments.rate, arguments.seconds),
        produce(servers, arguments.seconds),
    )
    after, spent = process.cpu_times(), time.monotonic() - begun
    await asyncio.sleep(3)
    for follower in followers:
        follower.cancel()
    share = (after.user + after.system - before.user - before.system) / spent
    all_latencies = np.concatenate([np.array(values) for values in latencies.values()]) * 1_000
    received = [counts[f"client {number}"] for number in range(arguments.clients)]
    rows = [
        f"| {path} | {np.median(values) * 1e3:.0f} | {np.quantile(values, 0.99) * 1e3:.0f} |"
        for path, values in latencies.items()
    ]
    memory = process.memory_info().rss / 2**20
    return [
        f"{arguments.clients} clients with event streams, {arguments.rate:g} requests/s, "
        f"{ARRIVALS:g} articles/s arriving, {arguments.articles:,} articles in the store, "
        f"{spent:.0f} s:",
        "",
        f"- CPU of the program: {share:.2f} cores; memory {memory:,.0f} MiB",
        f"- latency of all pages: median {np.median(all_latencies):.0f} ms, "
        f"99 % {np.quantile(all_latencies, 0.99):.0f} ms",
        f"- events: {sent} articles sent, each client received {min(received)}–{max(received)}",
        "",
        "| Page | median ms | 99 % ms |",
        "|---|---|---|",
        *rows,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=int, default=20_000)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, find_or_start(os.environ, print) as broker:
        store = Path(folder) / "store.db"
        fill(store, arguments.articles)
        published = {
            name: load(name).definition.published_tiers for name in ("uplifting", "investment_risk")
        }
        TopicAdmin(Cluster(broker.bootstrap_servers, {})).create(topics("articles", published))
        with serving(broker.bootstrap_servers, store, Path(folder)) as (address, process):
            table = asyncio.run(load_of(arguments, address, process, broker.bootstrap_servers))
    publish("Pages and events under load", table, "serve" if arguments.save else None)


if __name__ == "__main__":
    main()
