"""A worker process on a real broker: its capacity, its latency below it, and how it catches up.

    python -m benchmarks.end_to_end [--articles FILE] [--seconds N] [--commit-seconds S …]

Capacity is the rate at which a backlog is scored. Then articles arrive at random moments at shares
of it, and the latency of each is the time from its record's timestamp until a read_committed
consumer has its outcome. At last the worker is ended for a minute, while articles go on arriving.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from benchmarks.arrivals import Feeder, OutcomeClock, read_articles
from newsieve.devbroker.broker import find_or_start
from newsieve.kafka.admin import TopicAdmin
from newsieve.kafka.config import Cluster
from newsieve.settings.worker import WorkerSettings
from newsieve_schemas.topics import topics
from tests.support.filters import load
from tests.support.raw_topic import SAMPLE
from tests.support.results import publish
from tests.support.workers import WorkerProcess

FILTER = "sustainability"  # blocks nothing: every article goes through the model
PATIENCE_SECONDS = 600.0
PAUSE_SHARE = 0.5
LATE_SECONDS = 1.0  # an article that took longer still belongs to the backlog of a pause
EDGES = (0.1, 0.95)  # of a backlog's outcomes: what lies between is the steady rate


@dataclass(frozen=True)
class Load:
    """What one stretch of arrivals showed."""

    share: float
    offered: float  # articles a second
    scored: float  # articles a second
    latencies: np.ndarray  # seconds
    cpu_milliseconds: float  # of the worker, for each article
    resident_mib: float


@dataclass(frozen=True)
class Recovery:
    """What a worker's absence cost. Times are in seconds."""

    pause: float
    start: float  # from the new worker's start to its first outcome
    backlog: int  # articles that waited when it started
    caught_up: float  # from its start to the last outcome of the backlog
    rate: float  # of arrivals meanwhile, a second


class Scene:
    """A worker of its own topics, with a producer before it and a clock behind it."""

    def __init__(self, servers: str, folder: Path, options: argparse.Namespace, commit: float):
        self._prefix = f"bench-{secrets.token_hex(3)}"
        self._folder = folder
        self._environment = {
            "NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": servers,
            "NEWSIEVE_KAFKA__TOPIC_PREFIX": self._prefix,
            "NEWSIEVE_WORKER__GROUP": self._prefix,
            "NEWSIEVE_WORKER__SLOT": "bench",
            "NEWSIEVE_WORKER__FILTERS": FILTER,
            "NEWSIEVE_WORKER__COMMIT_SECONDS": str(commit),
            "NEWSIEVE_STUDENT__DTYPE": options.dtype,
        }
        tiers = {FILTER: load(FILTER).definition.published_tiers}
        TopicAdmin(Cluster(servers, {})).create(topics(self._prefix, tiers))
        articles = read_articles(options.articles, options.most_articles)
        self.feeder = Feeder(servers, f"{self._prefix}.raw", articles)
        self.clock = OutcomeClock(servers, f"{self._prefix}.scored")
        self.worker: WorkerProcess | None = None

    def start(self) -> None:
        log = self._folder / f"{self._prefix}.log"
        self.worker = WorkerProcess(log, self._environment)

    def stop(self) -> None:
        if self.worker is not None:
            self.worker.terminate()
            self.worker = None

    def close(self) -> None:
        self.stop()
        self.feeder.close()
        self.clock.close()

    def capacity(self, articles: int) -> float:
        """Articles a second, of a backlog that was there before the worker."""
        ids = self.feeder.send(articles)
        self.start()
        self._wait_for(ids)
        times = sorted(self.clock.seen_at[key] for key in ids)
        first, last = (int(edge * len(times)) for edge in EDGES)
        return (last - first) / (times[last] - times[first])

    def load(self, share: float, rate: float, seconds: float) -> Load:
        """Let articles arrive for so long, and wait for the outcome of each."""
        assert self.worker is not None
        process = psutil.Process(self.worker.process.pid)
        before, begin = _cpu_seconds(process), time.time()
        ids = self.feeder.feed(rate, seconds)
        self._wait_for(ids)
        elapsed = max(self.clock.seen_at[key] for key in ids) - begin
        return Load(
            share,
            len(ids) / seconds,
            len(ids) / elapsed,
            self._latencies(ids),
            1e3 * (_cpu_seconds(process) - before) / len(ids),
            process.memory_info().rss / 2**20,
        )

    def recovery(self, rate: float, pause: float) -> Recovery:
        """End the worker, let articles arrive for so long, and start it again meanwhile."""
        self.stop()
        fed: list[str] = []
        is_over = threading.Event()
        feeding = threading.Thread(
            target=lambda: fed.extend(self.feeder.feed(rate, PATIENCE_SECONDS, is_over))
        )
        feeding.start()
        try:
            time.sleep(pause)
            deadline = time.monotonic() + PATIENCE_SECONDS
            started, waiting = time.time(), self._unanswered()
            self.start()
            while (now := time.time()) - self._oldest(now) > LATE_SECONDS:
                self._require_progress(deadline, "the worker does not catch up")
                time.sleep(0.2)
        finally:
            is_over.set()
            feeding.join()
        self._wait_for(fed)
        seen = [self.clock.seen_at[key] for key in fed]
        late = [
            at for key, at in zip(fed, seen, strict=True)
            if at - self.feeder.sent_ms[key] / 1e3 > LATE_SECONDS
        ]  # fmt: skip
        return Recovery(pause, min(seen) - started, len(waiting), max(late) - started, rate)

    def _wait_for(self, ids: Sequence[str]) -> None:
        """Wait until all of these have an outcome. Raises SystemExit when the worker ends before,
        or takes too long."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while missing := self.clock.missing(ids):
            self._require_progress(deadline, f"{missing:,} of {len(ids):,} articles have none")
            time.sleep(0.1)

    def _require_progress(self, deadline: float, what: str) -> None:
        assert self.worker is not None
        code = self.worker.process.poll()
        if code is not None:
            raise SystemExit(f"the worker ended with code {code}:\n{self.worker.text()[-2_000:]}")
        if time.monotonic() > deadline:
            raise SystemExit(f"no outcomes in {PATIENCE_SECONDS:g} s: {what}")

    def _latencies(self, ids: Sequence[str]) -> np.ndarray:
        return np.array([self.clock.seen_at[key] - self.feeder.sent_ms[key] / 1e3 for key in ids])

    def _unanswered(self) -> list[int]:
        """The timestamps, in milliseconds, of the articles without an outcome."""
        return [
            ms for key, ms in list(self.feeder.sent_ms.items()) if key not in self.clock.seen_at
        ]

    def _oldest(self, now: float) -> float:
        """When the article that has waited longest was sent."""
        return min(self._unanswered(), default=now * 1e3) / 1e3


def main() -> None:
    options = _options()
    lines = []
    with (
        find_or_start(os.environ, lambda text: sys.stderr.write(text + "\n")) as broker,
        tempfile.TemporaryDirectory() as folder,
    ):
        for commit in options.commit_seconds:
            lines += _measure(broker.bootstrap_servers, Path(folder), options, commit)
    publish(
        "The worker end to end",
        [
            f"Filter {FILTER}, student of {options.dtype} precision, articles of "
            f"`{options.articles.name}` at random moments (Poisson) for {options.seconds:g} s at "
            "each load. Latency: from the raw record's timestamp until a read_committed consumer "
            "has the outcome; worker, broker, producer and that consumer share the machine.",
            *lines,
        ],
        options.save,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=Path, default=SAMPLE)
    parser.add_argument("--most-articles", type=int, default=400, help="of the file, in turn")
    parser.add_argument("--backlog", type=int, default=1_500, help="articles, for the capacity")
    parser.add_argument("--shares", type=float, nargs="*", default=[25, 50, 75, 95], help="in %%")
    parser.add_argument("--seconds", type=float, default=60, help="of each load")
    parser.add_argument("--pause", type=float, default=60, help="seconds; 0 leaves it out")
    parser.add_argument(
        "--commit-seconds", type=float, nargs="+", default=[WorkerSettings().commit_seconds]
    )
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--save")
    return parser.parse_args()


def _measure(servers: str, folder: Path, options: argparse.Namespace, commit: float) -> list[str]:
    scene = Scene(servers, folder, options, commit)
    try:
        capacity = scene.capacity(options.backlog)
        _say(f"commit_seconds {commit:g}: {capacity:.1f} articles/s")
        loads = []
        for share in options.shares:
            loads.append(scene.load(share, capacity * share / 100, options.seconds))
            _say(_row(loads[-1]))
        recovery = scene.recovery(capacity * PAUSE_SHARE, options.pause) if options.pause else None
    finally:
        scene.close()
    lines = [
        "",
        f"## worker.commit_seconds = {commit:g}",
        "",
        f"Capacity, from a backlog of {options.backlog:,}: {capacity:.1f} articles/s.",
        "",
        "| load | offered, articles/s | scored, articles/s | p50, ms | p95, ms | p99, ms | max, ms "
        "| CPU, ms an article | resident MiB |",
        "|---|---|---|---|---|---|---|---|---|",
        *map(_row, loads),
    ]
    if recovery is not None:
        lines += ["", _recovered(recovery)]
    return lines


def _row(load: Load) -> str:
    p50, p95, p99 = (1e3 * value for value in np.percentile(load.latencies, (50, 95, 99)))
    return (
        f"| {load.share:g} % | {load.offered:.1f} | {load.scored:.1f} | {p50:.0f} | {p95:.0f} | "
        f"{p99:.0f} | {1e3 * load.latencies.max():.0f} | {load.cpu_milliseconds:.1f} | "
        f"{load.resident_mib:.0f} |"
    )


def _recovered(found: Recovery) -> str:
    return (
        f"The worker was ended for {found.pause:g} s, while {found.rate:.1f} articles/s arrived: "
        f"{found.backlog:,} waited when it started again. Its first outcome came after "
        f"{found.start:.1f} s, and after {found.caught_up:.1f} s nothing was more than "
        f"{LATE_SECONDS:g} s old."
    )


def _cpu_seconds(process: psutil.Process) -> float:
    used = process.cpu_times()
    return used.user + used.system


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
