"""Runs the collector of `newsieve serve` again and again, and kills it; the last run ends itself.

    python -m tests.support.killed_collector STORE SERVERS PREFIX KILLS RECORDS

A process that has imported everything forks the runs: twenty starts take seconds.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from newsieve.bootstrap.serving import make_collector
from newsieve.programs.collecting.observer import LoggingCollectorObserver
from newsieve.settings.loader import load_settings
from newsieve.store.rows import Row
from newsieve.store.writer import StoreWriter
from newsieve.stream import logs
from newsieve.stream.serve_metrics import ServeMetrics
from newsieve.stream.watchdog import Watchdog


class Told(LoggingCollectorObserver):
    """Says on a pipe when the topics are read, and when rows were committed."""

    pipe: int

    def started(self, partitions: int, records: int) -> None:
        super().started(partitions, records)
        os.write(self.pipe, b"s")

    def written(self, rows: Sequence[Row], seconds: float) -> None:
        super().written(rows, seconds)
        os.write(self.pipe, b"w")


def collect(store: str, servers: str, prefix: str, records: int, pipe: int) -> None:
    """Collect until so many records are behind it."""
    environment = {
        "NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": servers,
        "NEWSIEVE_KAFKA__TOPIC_PREFIX": prefix,
        "NEWSIEVE_SERVE__STORE": store,
        "NEWSIEVE_SERVE__RETENTION_DAYS": "36500",  # the tests' records have a date of their own
    }
    settings = load_settings(None, environment)
    logs.configure()
    writer = StoreWriter(Path(store))
    observer = Told(ServeMetrics(), Watchdog(), lambda: None)
    observer.pipe = pipe
    loop = make_collector(settings, writer, observer)
    loop.run(lambda: sum(writer.positions().values()) >= records, time.sleep)
    writer.close()


def main(store: str, servers: str, prefix: str, kills: int, records: int) -> int:
    """Kill so many runs, each soon after it began to read or has committed rows. Returns the last
    run's exit code."""
    chance = random.Random(16)
    for number in range(kills + 1):
        told, pipe = os.pipe()
        run = os.fork()
        if run == 0:
            collect(store, servers, prefix, records, pipe)
            os._exit(0)
        os.close(pipe)
        if number < kills:
            for _ in range(chance.choice([1, 2])):
                os.read(told, 1)  # nothing, where the run has ended
            time.sleep(chance.uniform(0.0, 0.1))
            os.kill(run, signal.SIGKILL)
        status = os.waitpid(run, 0)[1]
        os.close(told)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])))
