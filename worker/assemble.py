"""Builds the real objects from settings: the only place that knows them all.

Imports of torch happen inside functions, so that commands without a model start fast.
"""

from __future__ import annotations

import atexit
import datetime as dt
import gc
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import worker
from schemas.topics import DEAD_LETTER, RAW, SCORED, SHADOW, Topic, topic_name, topics
from worker.codec.dead_letter import Writer
from worker.codec.decode import DecodePolicy
from worker.codec.encode import FilterEncoder
from worker.delivery import Delivery
from worker.engine.scorer import Scorer
from worker.kafka.backfill import Backfill
from worker.kafka.client import Cluster, largest_message_bytes, make_producer
from worker.kafka.inquiry import Inquiry
from worker.kafka.intake import Intake
from worker.kafka.transaction import Publisher
from worker.limits import Limits
from worker.observe.http import ObserveServer
from worker.observe.logs import get_logger
from worker.observe.metrics import Metrics
from worker.observe.observer import WorkerObserver
from worker.observe.watchdog import Watchdog
from worker.outbox import Outbox
from worker.pipeline import Policy, Worker
from worker.rules.catalogue import Filter, available, load
from worker.rules.refinement import NO_REFINEMENT, Refinement
from worker.rules.sampling import LOW, SURFACED, SamplingPolicy
from worker.scoring import ScoringPath, Shadow, shadow_name
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.engine.student import Student

APP: Final = "newsieve"
COMPONENT: Final = "worker"
CPU_BUDGET_TOKENS: Final = 2_048  # larger buckets leave a CPU's caches
GPU_BUDGET_TOKENS: Final = 16_896  # fills 132 multiprocessors exactly
# A micro-batch alone makes thousands of objects, none of them in a cycle. At Python's default of
# 700 the collector walks all that is in flight again and again: a third of the CPU per record.
COLLECT_EVERY: Final = 50_000

# A candidate's records ask nothing of the oracle.
NEVER: Final = SamplingPolicy("none", "shadow", {LOW: 0.0, SURFACED: 0.0})

_log = get_logger("assemble")


@dataclass(frozen=True, slots=True)
class StudentIdentity:
    """What records need of a student."""

    filter: Filter
    hash: str
    refinement: Refinement = NO_REFINEMENT
    is_candidate: bool = False


def cluster(settings: Settings) -> Cluster:
    return Cluster(settings.kafka.bootstrap_servers, settings.kafka.options)


def load_filters(settings: Settings) -> list[Filter]:
    """The filters at work. Raises UnknownFilter or FilterInvalid."""
    return [load(reference) for reference in settings.worker.filters]


def all_topics(settings: Settings, filters: Sequence[Filter]) -> list[Topic]:
    """The table of topics for these filters."""
    tiers = {item.name: item.definition.published_tiers for item in filters}
    return topics(settings.kafka.topic_prefix, tiers)


def worker_topics(settings: Settings, filters: Sequence[Filter]) -> list[Topic]:
    """Those of the table that a worker reads or writes."""
    return [
        topic
        for topic in all_topics(settings, filters)
        if topic.kind.suffix == RAW or COMPONENT in topic.kind.writers
    ]


def student_folder(settings: Settings, filter_: Filter) -> Path:
    return settings.student.folders.get(filter_.name, filter_.student_folder)


def load_students(settings: Settings, filters: Sequence[Filter]) -> dict[str, Student]:
    """Every filter's student, loaded, merged and held against its canaries.

    Raises StudentInvalid or CanaryMismatch.
    """
    return {item.name: _load(settings, item, student_folder(settings, item)) for item in filters}


def load_candidates(settings: Settings, filters: Sequence[Filter]) -> dict[str, Student]:
    """The students on trial, by `shadow_name`. Raises as above."""
    folders = settings.student.candidates
    return {
        shadow_name(item.name): _load(settings, item, folders[item.name])
        for item in filters
        if item.name in folders
    }


def _load(settings: Settings, filter_: Filter, folder: Path) -> Student:
    from worker.engine.student import check_canaries, load_student, set_threads

    set_threads(settings.student.threads)
    chosen = settings.student.model_dump(include={"base", "device", "dtype"})
    student = load_student(filter_, folder, **chosen)
    worst = max((item[2] for item in check_canaries(student)), default=0.0)
    _log.info(
        "student.loaded",
        filter=filter_.reference,
        student=student.hash,
        device=student.device,
        dtype=student.dtype,
        canary_difference=round(worst, 5),
    )
    return student


def identities_of(students: Mapping[str, Student]) -> list[StudentIdentity]:
    """Of those that `load_students` and `load_candidates` give."""
    return [
        StudentIdentity(
            student.filter,
            student.hash,
            student.manifest.refinement(student.filter.tiering),
            is_candidate=name == shadow_name(student.filter.name),
        )
        for name, student in students.items()
    ]


def make_engine(settings: Settings, students: dict[str, Student]) -> Scorer:
    from worker.engine.engine import Engine

    on_cpu = all(student.device == "cpu" for student in students.values())
    default = CPU_BUDGET_TOKENS if on_cpu else GPU_BUDGET_TOKENS
    return Engine(students, settings.student.budget_tokens or default)


def scoring_path(
    settings: Settings, identities: Sequence[StudentIdentity], scorer: Scorer
) -> ScoringPath:
    """Decode → rules → score → decide → encode, for these filters."""
    source = f"{APP}/{COMPONENT}/{settings.worker.group}"
    encoders, shadows, refinements = [], [], {}
    for item in identities:
        sampling = NEVER if item.is_candidate else sampling_policy(settings, item.filter)
        topic = SHADOW if item.is_candidate else SCORED
        prefix = settings.kafka.topic_prefix
        encoder = FilterEncoder(item.filter, item.hash, sampling, prefix, source, topic)
        if item.is_candidate:
            shadows.append(Shadow(encoder, item.refinement, settings.student.candidate_share))
        else:
            encoders.append(encoder)
            refinements[item.filter.name] = item.refinement
    policy = DecodePolicy(settings.worker.max_record_bytes, settings.worker.id_from_key)
    catalogue = frozenset(reference.partition("/")[0] for reference in available())
    return ScoringPath(encoders, scorer, policy, utc_now, catalogue, refinements, shadows)


def make_backfill(settings: Settings, since: dt.datetime, until: dt.datetime) -> Backfill:
    """Of the raw topic, in the settings' group. Raises BrokerUnavailable or TopicsWrong."""
    topic = topic_name(settings.kafka.topic_prefix, RAW)
    milliseconds = [int(moment.timestamp() * 1_000) for moment in (since, until)]
    return Backfill(cluster(settings), settings.worker.group, topic, *milliseconds)


def sampling_policy(settings: Settings, filter_: Filter) -> SamplingPolicy:
    sampling = settings.sampling
    own = sampling.filters.get(filter_.name, {})
    pi = {LOW: own.get(LOW, sampling.low), SURFACED: own.get(SURFACED, sampling.surfaced)}
    return SamplingPolicy(sampling.policy, sampling.epoch, pi)


@dataclass(frozen=True, slots=True)
class Slot:
    """A worker's place: its name, its transactional producer, and who watches its loop."""

    name: str
    publisher: Publisher
    watchdog: Watchdog


def take_slot(settings: Settings) -> Slot:
    """Become the slot's one worker: what a killed predecessor left open is aborted.

    Do it before a student is loaded, which may take a minute: until then readers of the output
    topics stand still. Raises Fenced, TopicsWrong or BrokerLost.
    """
    return slot_of(settings, settings.worker.group, settings.worker.slot, "NEWSIEVE_WORKER__SLOT")


def slot_of(settings: Settings, group: str, slot: str | None, setting: str) -> Slot:
    """A group's slot; a made-up one where `setting` is not set. Raises as `take_slot`."""
    name = slot or _random_slot(setting)
    watchdog = Watchdog()
    producing = cluster(settings).producer({"transactional.id": f"{APP}-{group}-{name}"})
    publisher = Publisher(
        lambda on_delivery: make_producer(producing | {"on_delivery": on_delivery}),
        watchdog.beat,
        largest_message_bytes(producing),
    )
    publisher.connect()
    return Slot(name, publisher, watchdog)


@dataclass(frozen=True, slots=True)
class RunningWorker:
    """A worker with what surrounds it."""

    worker: Worker
    server: ObserveServer
    metrics: Metrics
    is_ready: Callable[[], bool]


def make_worker(
    settings: Settings, path: ScoringPath, slot: Slot, backfill: Backfill | None = None
) -> RunningWorker:
    """A worker ready to run, its /metrics already served. The model must be warm by now."""
    kafka = cluster(settings)
    ours = {"group.instance.id": slot.name} if settings.kafka.static_membership else {}
    ends = backfill.ends if backfill is not None else {}
    config = kafka.consumer(settings.worker.group, ours) | {"enable.partition.eof": bool(ends)}
    prefix = settings.kafka.topic_prefix
    metrics = Metrics()
    needed = [topic.name for topic in worker_topics(settings, path.filters)]
    inquiry = Inquiry(config, needed, slot.watchdog.beat)
    intake = Intake(config, topic_name(prefix, RAW), inquiry, metrics.expired, ends)
    observer = WorkerObserver(metrics, slot.watchdog, intake.lag)
    policy = Policy(
        settings.worker.batch_articles,
        settings.worker.batches_in_flight,
        settings.worker.commit_seconds,
        settings.worker.commit_records,
        settings.worker.drain_seconds,
    )
    outbox = outbox_of(settings, slot.publisher, settings.worker.group)
    built = Worker(path, Delivery(intake, slot.publisher, observer), outbox, policy, observer)

    def is_ready() -> bool:
        return intake.is_member

    server = ObserveServer(
        settings.observe.host,
        settings.observe.port,
        metrics.registry,
        slot.watchdog.is_alive,
        is_ready,
    )
    _spare_the_collector()
    _log.info("worker.assembled", slot=slot.name, observe_port=server.port, pid=os.getpid())
    return RunningWorker(built, server, metrics, is_ready)


def outbox_of(settings: Settings, publisher: Publisher, group: str) -> Outbox:
    """With the settings' limits on dead letters."""
    limits = Limits(
        settings.worker.dead_letter_ratio,
        settings.worker.dead_letter_window,
        settings.worker.dead_letter_run,
    )
    letters = topic_name(settings.kafka.topic_prefix, DEAD_LETTER)
    return Outbox(publisher, limits, Writer(letters, group, worker.__version__), utc_now)


def _spare_the_collector() -> None:
    """What is loaded by now stays: collections need not look at it, nor come so often."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # or libraries that count their objects report leaks at the end
    gc.set_threshold(COLLECT_EVERY)


def utc_now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _random_slot(setting: str) -> str:
    slot = secrets.token_hex(4)
    _log.warning(
        "slot.made_up",
        slot=slot,
        advice=f"set {setting}, stable per replica: a restart then ends what its "
        "predecessor left open at once instead of after the transaction's time-out",
    )
    return slot
