"""The drift monitor: baselines, anchors, watches, and the loop around them. Without torch."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from schemas.topics import (
    CANARIES,
    CONTROL,
    DEAD_LETTER,
    DRIFT_ALERTS,
    DRIFT_STATE,
    ORACLE_REQUESTS,
    ORACLE_SCORES,
    SCORED,
    Topic,
    topic_name,
)
from worker.archive import KafkaArchive
from worker.assemble.shared import (
    Slot,
    all_topics,
    cluster,
    load_filters,
    outbox_of,
    slot_of,
)
from worker.assemble.students import student_folder
from worker.course import Watched
from worker.delivery import Delivery
from worker.drift.anchor_file import AnchorFile, read_anchors
from worker.drift.events import EventReader
from worker.drift.labels import BadLine, Label, LabelReader
from worker.drift.records import Records
from worker.drift.states import Rules
from worker.drift.streams import Streams
from worker.drift.watch import Watch
from worker.engine.manifest import BASELINE, MANIFEST, read_manifest, student_hash
from worker.errors import InputFileInvalid
from worker.kafka.client import APP
from worker.kafka.inlets import Inlets
from worker.kafka.inquiry import Inquiry
from worker.kafka.intake import Intake
from worker.monitor import DriftMonitor, Policy
from worker.observe.drift_observer import MonitorObserver
from worker.observe.health import Health
from worker.observe.logs import get_logger
from worker.observe.metrics import DriftMetrics
from worker.rules.catalogue import Filter
from worker.settings import Settings

COMPONENT: Final = "drift"
# Read in this order where records are of the same moment.
INPUTS: Final = (CONTROL, CANARIES, SCORED, ORACLE_SCORES)
# What a monitor does to topics, for `newsieve doctor`.
RIGHTS: Final = (
    *((suffix, "READ") for suffix in (*INPUTS, DRIFT_STATE)),
    *((suffix, "WRITE") for suffix in (DRIFT_ALERTS, DRIFT_STATE, ORACLE_REQUESTS, DEAD_LETTER)),
)
HOUR_MILLISECONDS: Final = 60 * 60 * 1_000
REMINDER_MILLISECONDS: Final = 24 * HOUR_MILLISECONDS
NOBODY: Final = "sha256:" + "0" * 64  # stands for a student where none is known

_log = get_logger(COMPONENT)


@dataclass(frozen=True, slots=True)
class KnownStudent:
    """A student whose folder is here: its hash, its reference rows if it has any."""

    folder: Path
    hash: str
    rows: list[Label]


@dataclass(frozen=True, slots=True)
class Ground:
    """What a filter's watch rests on: all that is read from files."""

    filter: Filter
    students: list[KnownStudent]  # the live one first
    anchors: AnchorFile | None


def drift_topics(settings: Settings) -> list[Topic]:
    """Those of the table that the monitor reads or writes."""
    used = {*INPUTS, ORACLE_REQUESTS}
    return [
        topic
        for topic in all_topics(settings, ())
        if topic.kind.suffix in used or COMPONENT in topic.kind.writers
    ]


def take_slot(settings: Settings, heartbeat: Callable[[], None]) -> Slot:
    """Raises Fenced, TopicsWrong or BrokerLost."""
    drift = settings.drift
    return slot_of(settings, drift.group, drift.slot, "NEWSIEVE_DRIFT__SLOT", heartbeat)


def grounds(settings: Settings) -> list[Ground]:
    """Of all filters at work. Raises InputFileInvalid, StudentInvalid or UnknownFilter."""
    lines = _anchor_lines(settings)
    found = []
    for filter_ in load_filters(settings):
        folders = [student_folder(settings, filter_)]
        if filter_.name in settings.student.candidates:
            folders.append(settings.student.candidates[filter_.name])
        students = [_known(folder, filter_) for folder in folders if (folder / MANIFEST).is_file()]
        anchors = read_anchors(str(settings.drift.anchors), lines, filter_) if lines else None
        found.append(Ground(filter_, students, anchors))
    return found


def rules(settings: Settings) -> Rules:
    """When a live monitor speaks."""
    return Rules(
        silence=int(settings.drift.silence_hours * HOUR_MILLISECONDS),
        reminder=REMINDER_MILLISECONDS,
        rebaseline_labels=settings.drift.rebaseline_labels,
    )


def make_watch(settings: Settings, ground: Ground) -> Watch:
    """One that has seen nothing yet."""
    anchors = ground.anchors.reference if ground.anchors is not None else None
    watch = Watch(ground.filter, rules(settings), anchors)
    for student in ground.students:
        watch.monitors.expect(student.hash, student.rows)
    return watch


def watches(settings: Settings, found: Sequence[Ground]) -> Callable[[], Mapping[str, Watched]]:
    """Makes the watches of a monitor that knows nothing."""
    prefix = settings.kafka.topic_prefix
    source = f"{APP}/{COMPONENT}/{settings.drift.group}"
    records = {
        ground.filter.name: Records(
            ground.filter,
            prefix,
            source,
            ground.students[0].hash if ground.students else NOBODY,
            reproducing(settings, ground),
            settings.observe.runbook_url,
        )
        for ground in found
    }

    def begin() -> Mapping[str, Watched]:
        return {
            ground.filter.name: Watched(
                make_watch(settings, ground),
                records[ground.filter.name],
                ground.anchors.articles if ground.anchors is not None else {},
            )
            for ground in found
        }

    return begin


def reproducing(settings: Settings, ground: Ground) -> str:
    """The command that shows an alert again, from the oracle's records."""
    scores = shlex.quote(topic_name(settings.kafka.topic_prefix, ORACLE_SCORES))
    command = (
        f"newsieve tail {scores} --from-beginning --until-end --json | "
        f"newsieve drift replay --filter {ground.filter.reference}"
    )
    if ground.students and ground.students[0].rows:
        command += f" --reference {shlex.quote(str(_short(ground.students[0].folder / BASELINE)))}"
    return command


@dataclass(frozen=True, slots=True)
class RunningMonitor:
    """A drift monitor with what surrounds it."""

    monitor: DriftMonitor
    delivery: Delivery


def make_monitor(
    settings: Settings, found: Sequence[Ground], slot: Slot, health: Health[DriftMetrics]
) -> RunningMonitor:
    """A monitor ready to run, which is ready when it has joined."""
    group, prefix = settings.drift.group, settings.kafka.topic_prefix
    kafka, metrics, watchdog = cluster(settings), health.metrics, health.watchdog
    ours = {"group.instance.id": slot.name} if settings.kafka.static_membership else {}
    config = kafka.consumer(group, ours)
    needed = [topic.name for topic in drift_topics(settings)]
    inquiry = Inquiry(config, needed, watchdog.beat)
    intake = Intake(config, topic_name(prefix, CONTROL), inquiry, metrics.expired)
    inlets = Inlets(kafka, [topic_name(prefix, suffix) for suffix in INPUTS])
    observer = MonitorObserver(metrics, watchdog, inlets.lag)
    state_topic = topic_name(prefix, DRIFT_STATE)
    archive = KafkaArchive(kafka, inquiry, inlets, state_topic, watchdog.beat, metrics.expired)
    delivery = Delivery(intake, slot.publisher, observer)
    monitor = DriftMonitor(
        delivery,
        inlets,
        archive,
        watches(settings, found),
        EventReader([ground.filter for ground in found]),
        outbox_of(settings, slot.publisher, group),
        observer,
        Policy(lambda: time.time_ns() // 1_000_000, prefix, settings.drift.commit_seconds),
    )
    health.ready_when(lambda: monitor.is_ready)
    _log.info(
        "monitor.assembled",
        filters=[ground.filter.reference for ground in found],
        baselines=sum(bool(student.rows) for ground in found for student in ground.students),
        anchors=sum(len(ground.anchors.articles) for ground in found if ground.anchors),
        slot=slot.name,
        observe_port=health.port,
        pid=os.getpid(),
    )
    return RunningMonitor(monitor, delivery)


def _known(folder: Path, filter_: Filter) -> KnownStudent:
    """Raises InputFileInvalid or StudentInvalid."""
    known = student_hash(folder, read_manifest(folder).base)
    baseline = folder / BASELINE
    rows = []
    if baseline.is_file():
        lines = enumerate(baseline.read_bytes().split(b"\n"))
        reader = LabelReader(filter_.name, Streams(filter_))
        for item in reader.read((at, line) for at, line in lines if line.strip()):
            if isinstance(item, BadLine):
                raise InputFileInvalid(f"{baseline}, line {item.at + 1}: {item.error}")
            if isinstance(item, Label):
                rows.append(item)
    return KnownStudent(folder, known, rows)


def _anchor_lines(settings: Settings) -> list[bytes]:
    """Raises InputFileInvalid."""
    path = settings.drift.anchors
    if path is None:
        return []
    try:
        return path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputFileInvalid(f"cannot read drift.anchors, {path}: {error.strerror}") from None


def _short(path: Path) -> Path:
    """Below the folder we are in, so that a record names no more of this machine than needed."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
