"""Builds the program that scores the stream, and its backfill.

The only thing it knows of records is which topics they are on.
"""

from __future__ import annotations

import atexit
import datetime as dt
import gc
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from newsieve.bootstrap.common import (
    Slot,
    acquire_group_slot,
    all_topics,
    cluster,
    make_member,
    secret_key,
)
from newsieve.filters.registry import Filter
from newsieve.kafka.backfill import Backfill
from newsieve.kafka.state_topic import headers
from newsieve.programs.scoring.canaries import Canaries
from newsieve.programs.scoring.loop import BatchingConfig, ScoringLoop
from newsieve.programs.scoring.path import ScoringPath
from newsieve.settings.loader import Settings
from newsieve.settings.secret_checks import MAKE_A_KEY
from newsieve.stream.crash_recovery import CrashRecovery
from newsieve.stream.health import Health
from newsieve.stream.logs import get_logger
from newsieve.stream.metrics import Metrics
from newsieve.stream.observer import WorkerObserver
from newsieve.stream.published import Published
from newsieve_schemas.topics import RAW, TIER, Topic, topic_name

COMPONENT: Final = "worker"
# A micro-batch alone makes thousands of objects, none of them in a cycle. At Python's default of
# 700 the collector walks all that is in flight again and again: a third of the CPU per record.
COLLECT_EVERY: Final = 50_000

_log = get_logger("assemble")


def worker_topics(settings: Settings, filters: Sequence[Filter]) -> list[Topic]:
    """The topics of the table that a worker reads or writes."""
    return [
        topic
        for topic in all_topics(settings, filters)
        if topic.kind.suffix == RAW or COMPONENT in topic.kind.writers
    ]


def acquire_slot(settings: Settings, heartbeat: Callable[[], None]) -> Slot:
    """Become the slot's one worker: what a killed predecessor left open is aborted.

    Do it before a student is loaded, which may take a minute: until then readers of the output
    topics stand still. Raises Fenced, TopicsWrong or BrokerLost.
    """
    worker = settings.worker
    return acquire_group_slot(
        settings, worker.group, worker.slot, "NEWSIEVE_WORKER__SLOT", heartbeat
    )


def make_backfill(settings: Settings, since: dt.datetime, until: dt.datetime) -> Backfill:
    """The backfill of a stretch of the raw topic, in the settings' group.

    Raises BrokerUnavailable or TopicsWrong.
    """
    topic = topic_name(settings.kafka.topic_prefix, RAW)
    milliseconds = [int(moment.timestamp() * 1_000) for moment in (since, until)]
    return Backfill(cluster(settings), settings.worker.group, topic, *milliseconds)


def read_published(
    settings: Settings, filters: Sequence[Filter], heartbeat: Callable[[], None]
) -> Published:
    """Read what is on these filters' tier topics, from their beginning: a raw record's timestamp
    may be anything, and does not say since when its outcome can be there. It reads some 25,000
    records of 4 KB a second, and keeps 16 bytes of each.

    Raises BrokerUnavailable, TopicsWrong, or what `heartbeat` raises.
    """
    wanted = worker_topics(settings, filters)
    tiers = [topic.name for topic in wanted if topic.kind.suffix == TIER]
    return Published(tiers, headers(cluster(settings), tiers, heartbeat))


@dataclass(frozen=True, slots=True)
class RunningWorker:
    """A worker's loop, with the port where it can be observed."""

    worker: ScoringLoop
    health: Health[Metrics]


def make_worker(
    settings: Settings,
    path: ScoringPath,
    slot: Slot,
    health: Health[Metrics],
    backfill: Backfill | None = None,
    canaries: Canaries | None = None,
    published: Published | None = None,
) -> RunningWorker:
    """Make a worker, which is ready when it has joined its group. The model must be warm by now."""
    group, needed = settings.worker.group, worker_topics(settings, path.filters)
    ends = backfill.ends if backfill is not None else {}
    member = make_member(settings, group, slot, health, needed, RAW, ends, published)
    consumer = member.consumer
    observer = WorkerObserver(health.metrics, health.watchdog, consumer.lag)
    batching = BatchingConfig(
        settings.worker.batch_articles,
        settings.worker.batches_in_flight,
        settings.worker.commit_seconds,
        settings.worker.commit_records,
        settings.worker.drain_seconds,
    )
    recovery = CrashRecovery(
        consumer.offsets,
        batching.most_in_flight,
        member.offset_query.committed_with_metadata,
        consumer.lag,
        observer,
        ends,
    )
    runner = member.runner(observer, recovery)
    built = ScoringLoop(path, runner, member.publisher, batching, observer, recovery, canaries)
    health.ready_when(lambda: consumer.is_member)
    _spare_the_collector()
    _say_how_it_draws(settings)
    _log.info("worker.assembled", slot=slot.name, observe_port=health.port, pid=os.getpid())
    return RunningWorker(built, health)


def _say_how_it_draws(settings: Settings) -> None:
    key = secret_key(settings)
    if key is not None:
        _log.info("sampling.keyed", fingerprint=key.fingerprint)
        return
    _log.warning(
        "sampling.without_key",
        advice="whoever chooses articles' ids can choose what the oracle sees, and what it does "
        f"not: make a key with {MAKE_A_KEY} and set NEWSIEVE_SAMPLING__KEY, or ..._KEY_FILE, to "
        "it, the same for all workers and oracles",
    )


def _spare_the_collector() -> None:
    """Let the garbage collector leave what is loaded by now alone, and run less often."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # or libraries that count their objects report leaks at the end
    gc.set_threshold(COLLECT_EVERY)
