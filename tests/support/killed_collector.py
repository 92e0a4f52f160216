"""Runs the collector of `newsieve serve` again and again, and kills it; the last run ends itself.

    python -m tests.support.killed_collector STORE SERVERS PREFIX KILLS

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

IDLE_SECONDS = 2.0  # without anything new, the topics are read


def collect(store: str, servers: str, prefix: str) -> None:
    """Collect until nothing comes any more."""
    environment = {
        "NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": servers,
        "NEWSIEVE_KAFKA__TOPIC_PREFIX": prefix,
        "NEWSIEVE_SERVE__STORE": store,
    }
    settings = load_settings(None, environment)
    logs.configure()
    news_at = time.monotonic()

    def on_news() -> None:
        nonlocal news_at
        news_at = time.monotonic()

    writer = StoreWriter(Path(store))
    observer = LoggingCollectorObserver(ServeMetrics(), Watchdog(), on_news)
    loop = make_collector(settings, writer, observer)
    loop.run(lambda: time.monotonic() - news_at > IDLE_SECONDS, time.sleep)
    writer.close()


def main(store: str, servers: str, prefix: str, kills: int) -> int:
    """Kill so many runs at random moments. Returns the last run's exit code."""
    chance = random.Random(16)
    for number in range(kills + 1):
        run = os.fork()
        if run == 0:
            collect(store, servers, prefix)
            os._exit(0)
        if number < kills:
            time.sleep(chance.uniform(0.15, 0.5))
            os.kill(run, signal.SIGKILL)
        status = os.waitpid(run, 0)[1]
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4], int(sys.argv[4])))
