"""What 2,000 feeds cost one `newsieve ingest feeds`: CPU at rest, memory, the first round, a start.

    python -m benchmarks.ingest_feeds [--feeds N] [--seconds N] [--save]

A server on this machine, in a process of its own, has feeds of 25 items, with a new one each hour;
it answers 304 where there is none. After the first round all feeds are spread evenly over the usual
fifteen minutes, as they are after some hours, the server's clock goes on by as long, and an
ingester that starts there is measured: the CPU time and resident memory of it and of the processes
in which it reads feeds.
"""

from __future__ import annotations

import argparse
import datetime as dt
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import orjson
import psutil

from newsieve.devbroker.broker import find_or_start
from newsieve.kafka.admin import TopicAdmin
from newsieve.kafka.config import Cluster
from newsieve.kafka.producer import PlainProducer
from newsieve.kafka.state_topic import latest_by_key
from newsieve_schemas.topics import topics
from tests.support.feed_server import conditional, feed_server, rss, rss_item
from tests.support.results import publish
from tests.support.topics import unique_prefix

ITEMS: Final = 25
NEWS_SECONDS: Final = 3_600  # between two news of a feed
TEXT: Final = (
    "<p>The ferry took {number} bicycles and a piano to the island, as each spring.</p>" * 30
)
INTERVAL_SECONDS: Final = 900.0  # `ingest.min_interval_seconds`
SETTLING_SECONDS: Final = 10.0  # until librdkafka has read what it is given of the topic
MIB: Final = 1_048_576


def serve(feeds: int, told: Connection) -> None:
    """Serve the feeds until this process is ended, and tell their port; be told by how much the
    feeds' clock goes on."""
    later = 0.0

    def body(feed: int) -> Callable[[], bytes]:
        def make() -> bytes:
            # Each at another moment of the hour, so that news come evenly.
            newest = int(time.time() + later + feed * NEWS_SECONDS / feeds) // NEWS_SECONDS
            numbers = [newest - age for age in range(ITEMS)]
            return rss(
                rss_item(feed * 1_000_000_000 + number, TEXT.format(number=number))
                for number in numbers
            )

        return make

    with feed_server() as server:
        for feed in range(feeds):
            server.serve(f"/{feed}.xml", conditional(body(feed)))
        told.send(server.port)
        while True:
            later = told.recv()


@contextmanager
def serving(feeds: int) -> Iterator[tuple[int, Connection]]:
    """The feeds' port, served by a process of its own, and what it is told its clock by."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(feeds, theirs), daemon=True)
    server.start()
    yield ours.recv(), ours
    server.kill()


class Ingester:
    """`newsieve ingest feeds` in a process of its own."""

    def __init__(self, servers: str, prefix: str, folder: Path) -> None:
        variables = {
            "NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": servers, "NEWSIEVE_KAFKA__TOPIC_PREFIX": prefix,
            "NEWSIEVE_INGEST__GROUP": prefix, "NEWSIEVE_INGEST__SLOT": "0",
            "NEWSIEVE_INGEST__ALLOWED_TARGETS": "127.0.0.1",
            "NEWSIEVE_INGEST__HOST_GAP_SECONDS": "0",  # there is one host alone
        }  # fmt: skip
        self.log = folder / f"ingest-{time.monotonic_ns()}.log"
        self.started_at = time.monotonic()
        with self.log.open("wb") as stream:
            self._program = subprocess.Popen(
                [sys.executable, "-m", "newsieve", "ingest", "feeds", str(folder / "feeds.txt")],
                env=os.environ | variables, stdout=stream, stderr=stream,
            )  # fmt: skip
        self.process = psutil.Process(self._program.pid)

    def wait(self, is_there: Callable[[str], bool]) -> float:
        """Wait until the log says so; return the seconds since the start."""
        while not is_there(self.log.read_text()):
            if self._program.poll() is not None:
                raise SystemExit(self.log.read_text())
            time.sleep(0.1)
        return time.monotonic() - self.started_at

    def cpu_seconds(self) -> float:
        """CPU time of the program and of the processes that it has read feeds in, ended ones
        among them."""
        times = [item.cpu_times() for item in self._processes()]
        ended = times[0].children_user + times[0].children_system
        return float(ended + sum(item.user + item.system for item in times))

    def memory(self) -> tuple[float, float]:
        """Resident memory in MiB: of the program, and with its processes."""
        own, *others = (item.memory_info().rss / MIB for item in self._processes())
        return own, own + sum(others)

    def _processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]

    def end(self) -> None:
        self._program.terminate()
        self._program.wait(30)


def articles_in(log: str) -> int:
    """Articles that the log says are committed."""
    return sum(int(line.split(",", 1)[0]) for line in log.split('{"articles": ')[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--feeds", type=int, default=2_000)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    feeds = options.feeds
    with (
        tempfile.TemporaryDirectory() as name,
        find_or_start(os.environ, lambda text: sys.stderr.write(text + "\n")) as broker,
        serving(feeds) as (port, clock),
    ):
        folder, prefix = Path(name), unique_prefix()
        TopicAdmin(Cluster(broker.bootstrap_servers, {})).create(topics(prefix, {}))
        urls = [f"http://127.0.0.1:{port}/{feed}.xml" for feed in range(feeds)]
        (folder / "feeds.txt").write_text("\n".join(urls))
        first = Ingester(broker.bootstrap_servers, prefix, folder)
        round_seconds = first.wait(lambda log: articles_in(log) >= feeds * ITEMS)
        round_cpu, round_memory = first.cpu_seconds(), first.memory()
        first.end()
        clock.send(INTERVAL_SECONDS)
        spread_states(Cluster(broker.bootstrap_servers, {}), f"{prefix}.feeds")
        again = Ingester(broker.bootstrap_servers, prefix, folder)
        start = again.wait(lambda log: "feeds.restored" in log)
        time.sleep(SETTLING_SECONDS)
        before, measured_from = again.cpu_seconds(), time.monotonic()
        time.sleep(options.seconds)
        seconds = time.monotonic() - measured_from
        share = (again.cpu_seconds() - before) / seconds
        memory = again.memory()
        news = articles_in(again.log.read_text())
        again.end()
    lines = [
        "| measured | value |",
        "|---|---|",
        f"| first round: {feeds:,} feeds, {feeds * ITEMS:,} articles | {round_seconds:.0f} s |",
        f"| its CPU time | {round_cpu:.1f} s |",
        f"| memory after it, with the two processes that read feeds | {shown(round_memory)} |",
        f"| from a start to all states read | {start:.1f} s |",
        f"| at rest, for {seconds:.0f} s: share of a core | {share:.1%} |",
        f"| articles since that start | {news:,} |",
        f"| memory at rest, with the two processes | {shown(memory)} |",
    ]
    publish(f"{feeds:,} feeds in one process", lines, "ingest_feeds" if options.save else None)


def shown(memory: tuple[float, float]) -> str:
    return f"{memory[0]:.0f} MiB, {memory[1]:.0f} MiB"


def spread_states(cluster: Cluster, topic: str) -> None:
    """Let feeds be due evenly over the next fifteen minutes."""
    states = latest_by_key(cluster, topic, None, lambda: None)
    now = dt.datetime.now(dt.UTC)
    with PlainProducer(cluster, topic) as producer:
        for number, (key, value) in enumerate(states.items()):
            state = orjson.loads(value)
            due = now + dt.timedelta(seconds=INTERVAL_SECONDS * number / len(states))
            state["feed"]["next_at"] = due.isoformat(timespec="seconds")
            producer.send(key, orjson.dumps(state))


if __name__ == "__main__":
    main()
