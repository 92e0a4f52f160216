"""The worker, and the backfill."""

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
    all_topics,
    cluster,
    outbox_of,
    secret_key,
    slot_of,
)
from newsieve.filters.registry import Filter
from newsieve.kafka.backfill import Backfill
from newsieve.kafka.group_consumer import GroupConsumer
from newsieve.kafka.offset_query import OffsetQuery
from newsieve.kafka.state_topic import headers
from newsieve.programs.scoring.canaries import Canaries
from newsieve.programs.scoring.loop import BatchingConfig, ScoringLoop
from newsieve.programs.scoring.path import ScoringPath
from newsieve.settings.loader import Settings
from newsieve.settings.secret_checks import MAKE_A_KEY
from newsieve.stream.crash_recovery import CrashRecovery
from newsieve.stream.exactly_once import ExactlyOnceRunner
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
    """Those of the table that a worker reads or writes."""
    return [
        topic
        for topic in all_topics(settings, filters)
        if topic.kind.suffix == RAW or COMPONENT in topic.kind.writers
    ]


def take_slot(settings: Settings, heartbeat: Callable[[], None]) -> Slot:
    """Become the slot's one worker: what a killed predecessor left open is aborted.

    Do it before a student is loaded, which may take a minute: until then readers of the output
    topics stand still. Raises Fenced, TopicsWrong or BrokerLost.
    """
    worker = settings.worker
    return slot_of(settings, worker.group, worker.slot, "NEWSIEVE_WORKER__SLOT", heartbeat)


def make_backfill(settings: Settings, since: dt.datetime, until: dt.datetime) -> Backfill:
    """Of the raw topic, in the settings' group. Raises BrokerUnavailable or TopicsWrong."""
    topic = topic_name(settings.kafka.topic_prefix, RAW)
    milliseconds = [int(moment.timestamp() * 1_000) for moment in (since, until)]
    return Backfill(cluster(settings), settings.worker.group, topic, *milliseconds)


def read_published(
    settings: Settings, filters: Sequence[Filter], heartbeat: Callable[[], None]
) -> Published:
    """What is on these filters' tier topics, from their beginning: a raw record's timestamp may
    be anything, and does not say since when its outcome can be there. Some 25,000 records of 4 KB
    a second; 16 bytes of each are kept.

    Raises BrokerUnavailable, TopicsWrong, or what `heartbeat` raises.
    """
    wanted = worker_topics(settings, filters)
    tiers = [topic.name for topic in wanted if topic.kind.suffix == TIER]
    return Published(tiers, headers(cluster(settings), tiers, heartbeat))


@dataclass(frozen=True, slots=True)
class RunningWorker:
    """A worker with what surrounds it."""

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
    """A worker ready to run, which is ready when it has joined. The model must be warm by now."""
    kafka = cluster(settings)
    ours = {"group.instance.id": slot.name} if settings.kafka.static_membership else {}
    ends = backfill.ends if backfill is not None else {}
    config = kafka.consumer(settings.worker.group, ours)
    prefix = settings.kafka.topic_prefix
    metrics, watchdog = health.metrics, health.watchdog
    needed = [topic.name for topic in worker_topics(settings, path.filters)]
    inquiry = OffsetQuery(config, needed, watchdog.beat)
    intake = GroupConsumer(config, topic_name(prefix, RAW), inquiry, metrics.expired, ends)
    observer = WorkerObserver(metrics, watchdog, intake.lag)
    policy = BatchingConfig(
        settings.worker.batch_articles,
        settings.worker.batches_in_flight,
        settings.worker.commit_seconds,
        settings.worker.commit_records,
        settings.worker.drain_seconds,
    )
    outbox = outbox_of(settings, slot.publisher, settings.worker.group, published)
    recovery = CrashRecovery(
        intake.offsets,
        policy.most_in_flight,
        inquiry.committed_with_metadata,
        intake.lag,
        observer,
        ends,
    )
    delivery = ExactlyOnceRunner(intake, slot.publisher, observer, recovery)
    built = ScoringLoop(path, delivery, outbox, policy, observer, recovery, canaries)

    health.ready_when(lambda: intake.is_member)
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
    """What is loaded by now stays: collections need not look at it, nor come so often."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # or libraries that count their objects report leaks at the end
    gc.set_threshold(COLLECT_EVERY)
