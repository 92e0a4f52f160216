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
from pathlib import Path

from newsieve.bootstrap.serving import make_collector
from newsieve.programs.collecting.observer import LoggingCollectorObserver
from newsieve.settings.loader import load_settings
from newsieve.store.writer import StoreWriter
from newsieve.stream import logs
from newsieve.stream.serve_metrics import ServeMetrics
from newsieve.stream.watchdog import Watchdog


class StartTold(LoggingCollectorObserver):
    """Says on a pipe that the topics are read from now on."""

    pipe: int

    def started(self, partitions: int, records: int) -> None:
        super().started(partitions, records)
        os.write(self.pipe, b"s")


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
    observer = StartTold(ServeMetrics(), Watchdog(), lambda: None)
    observer.pipe = pipe
    loop = make_collector(settings, writer, observer)
    loop.run(lambda: sum(writer.positions().values()) >= records, time.sleep)
    writer.close()


def main(store: str, servers: str, prefix: str, kills: int, records: int) -> int:
    """Kill so many runs, each at a random moment after it began to read. Returns the last run's
    exit code."""
    chance = random.Random(16)
    told, pipe = os.pipe()
    for number in range(kills + 1):
        run = os.fork()
        if run == 0:
            collect(store, servers, prefix, records, pipe)
            os._exit(0)
        if number < kills:
            os.read(told, 1)
            time.sleep(chance.uniform(0.0, 0.3))
            os.kill(run, signal.SIGKILL)
        status = os.waitpid(run, 0)[1]
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])))
