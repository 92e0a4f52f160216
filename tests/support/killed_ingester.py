"""Runs four ingesters of one group again and again, and kills them; their last runs end themselves.

    python -m tests.support.killed_ingester LIST KILLS

A process that has imported everything forks the runs: twenty starts take seconds. Where the broker
is and what may be asked is in the environment.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from newsieve.bootstrap.ingest_feeds import (
    RunningFeeds,
    acquire_slot,
    feed_list,
    make_feeds_loop,
    make_fetcher,
)
from newsieve.feeds.parse_feed import parse_feed
from newsieve.kafka.config import Partition
from newsieve.programs.ingest.fetch_pool import EndedFetch
from newsieve.settings.loader import load_settings
from newsieve.stream import logs
from newsieve.stream.health import Health
from newsieve.stream.ingest_metrics import IngestMetrics

ANSWER, COMMIT, COMMITTED = b"a", b"c", b"d"
SLOTS = 4
EVENTS = [(ANSWER, 10), (COMMIT, 1), (COMMIT, 2), (COMMITTED, 1)]  # and how many of them


def ingest(feeds: Path, pipe: int, *, is_last: bool) -> None:
    """Ingest, and say on a pipe what happens; a last run ends once its feeds have nothing new."""
    settings = load_settings(None, os.environ)
    logs.configure()
    logs.set_level("warning")
    listed = feed_list(settings, feeds)
    with Health("127.0.0.1", 0, IngestMetrics()) as health:
        slot = acquire_slot(settings, lambda: None)
        fetcher = make_fetcher(settings)
        fetcher._parse = parse_feed  # a run is over before a process to read feeds in has started
        running = make_feeds_loop(settings, listed, fetcher, slot, health, is_once=False)
        loop = running.loop
        loop._config = replace(loop._config, idle_seconds=0.02)  # a run is short
        loop._feeds._commit_seconds = 0.05
        silent = tell(running, pipe)

        def is_over() -> bool:
            ours = loop._feeds._ours.feeds.keys()
            return is_last and bool(ours) and ours <= silent

        running.runner.run(loop, is_over)


def tell(running: RunningFeeds, pipe: int) -> set[str]:
    """Write a byte for each answer, and around each commit. Return the feeds that had nothing new,
    which grow."""
    fetched, commit = running.observer.fetched, running.runner.commit
    silent: set[str] = set()

    def tell_fetched(ended: EndedFetch) -> None:
        os.write(pipe, ANSWER)
        fetched(ended)
        if ended.fetched.outcome == "unchanged":
            silent.add(ended.feed.url)

    def tell_commit(offsets: Mapping[Partition, int]) -> float:
        os.write(pipe, COMMIT)
        seconds = commit(offsets)
        os.write(pipe, COMMITTED)
        return seconds

    running.observer.fetched = tell_fetched  # type: ignore[method-assign]
    running.runner.commit = tell_commit  # type: ignore[method-assign]
    return silent


def kill(feeds: Path, slot: int, kills: int) -> int:
    """Kill so many runs of a slot, each around an event of its own. Return the last one's exit
    code."""
    os.environ["NEWSIEVE_INGEST__SLOT"] = str(slot)
    chance = random.Random(slot)
    for number in range(kills + 1):
        told, pipe = os.pipe()
        run = os.fork()
        if run == 0:
            ingest(feeds, pipe, is_last=number == kills)
            os._exit(0)
        os.close(pipe)
        said = b""
        event, count = chance.choice(EVENTS) if number < kills else (b"", 0)
        while event and said.count(event) < count and (byte := os.read(told, 1)):
            said += byte
        if number < kills:
            time.sleep(chance.uniform(0.0, 0.02))
            os.kill(run, signal.SIGKILL)
        while more := os.read(told, 1_000):
            said += more
        os.close(told)
        code = os.waitstatus_to_exitcode(os.waitpid(run, 0)[1])
        counts = " ".join(str(said.count(event)) for event in (ANSWER, COMMIT, COMMITTED))
        os.write(1, f"run {code} {counts}\n".encode())
    return code


def main(feeds: Path, kills: int) -> int:
    """Kill so many runs, as many of each slot. Return 0 if the last ones ended well."""
    killers = []
    for slot in range(SLOTS):
        killer = os.fork()
        if killer == 0:
            os._exit(kill(feeds, slot, kills // SLOTS))
        killers.append(killer)
    return max(os.waitstatus_to_exitcode(os.waitpid(killer, 0)[1]) for killer in killers)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
