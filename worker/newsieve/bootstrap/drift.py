"""Builds the drift monitor: baselines, anchors, filter monitors and the loop around them. Without
torch."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from newsieve.bootstrap.common import (
    Slot,
    acquire_group_slot,
    all_topics,
    load_filters,
    make_member,
)
from newsieve.bootstrap.students import student_folder
from newsieve.drift.anchor_file import AnchorFile, read_anchors
from newsieve.drift.error_streams import ErrorStreams
from newsieve.drift.filter_monitor import FilterMonitor
from newsieve.drift.input_records import EventReader
from newsieve.drift.label_reader import BadLine, Label, LabelReader
from newsieve.drift.monitor_state import MonitorConfig
from newsieve.drift.output_records import DriftRecordEncoder
from newsieve.errors import InputFileInvalid
from newsieve.filters.registry import Filter
from newsieve.inference.manifest import BASELINE, MANIFEST, read_manifest, student_hash
from newsieve.kafka.assigned_consumer import AssignedConsumer
from newsieve.kafka.config import APP
from newsieve.programs.drift.loop import DriftLoop, DriftLoopConfig
from newsieve.programs.drift.observer import MonitorObserver
from newsieve.programs.drift.session import MonitoredFilter
from newsieve.programs.drift.state_store import KafkaStateStore
from newsieve.settings.loader import Settings
from newsieve.stream.exactly_once import ExactlyOnceRunner
from newsieve.stream.health import Health
from newsieve.stream.logs import get_logger
from newsieve.stream.metrics import DriftMetrics
from newsieve_schemas.topics import (
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
UNKNOWN_STUDENT: Final = "sha256:" + "0" * 64  # stands for a student where none is known

_log = get_logger(COMPONENT)


@dataclass(frozen=True, slots=True)
class KnownStudent:
    """A student whose folder is on this machine: its hash, and its reference rows if it has any."""

    folder: Path
    hash: str
    rows: list[Label]


@dataclass(frozen=True, slots=True)
class FilterInputs:
    """All that a filter's monitor is made of and that is read from files."""

    filter: Filter
    students: list[KnownStudent]  # the live one first
    anchors: AnchorFile | None


def drift_topics(settings: Settings) -> list[Topic]:
    """Return the topics that the drift monitor reads or writes."""
    used = {*INPUTS, ORACLE_REQUESTS}
    return [
        topic
        for topic in all_topics(settings, ())
        if topic.kind.suffix in used or COMPONENT in topic.kind.writers
    ]


def acquire_slot(settings: Settings, heartbeat: Callable[[], None]) -> Slot:
    """Acquire the producer slot of this process. Raises Fenced, TopicsWrong or BrokerLost."""
    drift = settings.drift
    return acquire_group_slot(settings, drift.group, drift.slot, "NEWSIEVE_DRIFT__SLOT", heartbeat)


def load_filter_inputs(settings: Settings) -> list[FilterInputs]:
    """Return the inputs of all filters at work. Raises InputFileInvalid, StudentInvalid or
    UnknownFilter."""
    lines = _anchor_lines(settings)
    inputs = []
    for filter_ in load_filters(settings):
        folders = [student_folder(settings, filter_)]
        if filter_.name in settings.student.candidates:
            folders.append(settings.student.candidates[filter_.name])
        students = [
            _load_student(folder, filter_) for folder in folders if (folder / MANIFEST).is_file()
        ]
        anchors = read_anchors(str(settings.drift.anchors), lines, filter_) if lines else None
        inputs.append(FilterInputs(filter_, students, anchors))
    return inputs


def monitor_config(settings: Settings) -> MonitorConfig:
    """Return the settings of a live monitor."""
    return MonitorConfig(
        silence=int(settings.drift.silence_hours * HOUR_MILLISECONDS),
        reminder=REMINDER_MILLISECONDS,
        rebaseline_labels=settings.drift.rebaseline_labels,
    )


def make_filter_monitor(settings: Settings, inputs: FilterInputs) -> FilterMonitor:
    """Return a filter's monitor as it is before any record."""
    anchors = inputs.anchors.reference if inputs.anchors is not None else None
    monitor = FilterMonitor(inputs.filter, monitor_config(settings), anchors)
    for student in inputs.students:
        monitor.monitors.expect(student.hash, student.rows)
    return monitor


def monitored_filters(
    settings: Settings, filters: Sequence[FilterInputs]
) -> Callable[[], Mapping[str, MonitoredFilter]]:
    """Return a function that makes all filters' monitors as they are before any record."""
    prefix = settings.kafka.topic_prefix
    source = f"{APP}/{COMPONENT}/{settings.drift.group}"
    records = {
        item.filter.name: DriftRecordEncoder(
            item.filter,
            prefix,
            source,
            item.students[0].hash if item.students else UNKNOWN_STUDENT,
            replay_command(settings, item),
            settings.observe.runbook_url,
        )
        for item in filters
    }

    def begin() -> Mapping[str, MonitoredFilter]:
        return {
            item.filter.name: MonitoredFilter(
                make_filter_monitor(settings, item),
                records[item.filter.name],
                item.anchors.articles if item.anchors is not None else {},
            )
            for item in filters
        }

    return begin


def replay_command(settings: Settings, inputs: FilterInputs) -> str:
    """Return the command that reproduces an alert from the oracle's records."""
    scores = shlex.quote(topic_name(settings.kafka.topic_prefix, ORACLE_SCORES))
    command = (
        f"newsieve tail {scores} --from-beginning --until-end --json | "
        f"newsieve drift replay --filter {inputs.filter.reference}"
    )
    if inputs.students and inputs.students[0].rows:
        command += (
            f" --reference {shlex.quote(str(_relative(inputs.students[0].folder / BASELINE)))}"
        )
    return command


@dataclass(frozen=True, slots=True)
class RunningMonitor:
    """A drift loop and its runner."""

    loop: DriftLoop
    runner: ExactlyOnceRunner


def make_monitor(
    settings: Settings, filters: Sequence[FilterInputs], slot: Slot, health: Health[DriftMetrics]
) -> RunningMonitor:
    """Build a drift loop that can run, which is ready once it has joined its group."""
    group, prefix = settings.drift.group, settings.kafka.topic_prefix
    member = make_member(settings, group, slot, health, drift_topics(settings), CONTROL)
    topics = [topic_name(prefix, suffix) for suffix in INPUTS]
    consumer = AssignedConsumer(member.cluster, topics)
    observer = MonitorObserver(health.metrics, health.watchdog, consumer.lag)
    state_store = KafkaStateStore(
        member.cluster,
        member.offset_query,
        consumer,
        topic_name(prefix, DRIFT_STATE),
        health.watchdog.beat,
        health.metrics.expired,
    )
    runner = member.runner(observer)
    loop = DriftLoop(
        runner,
        consumer,
        state_store,
        monitored_filters(settings, filters),
        EventReader([item.filter for item in filters]),
        member.publisher,
        observer,
        DriftLoopConfig(lambda: time.time_ns() // 1_000_000, prefix, settings.drift.commit_seconds),
    )
    health.ready_when(lambda: loop.is_ready)
    _log.info(
        "monitor.assembled",
        filters=[item.filter.reference for item in filters],
        baselines=sum(bool(student.rows) for item in filters for student in item.students),
        anchors=sum(len(item.anchors.articles) for item in filters if item.anchors),
        slot=slot.name,
        observe_port=health.port,
        pid=os.getpid(),
    )
    return RunningMonitor(loop, runner)


def _load_student(folder: Path, filter_: Filter) -> KnownStudent:
    """Read a student's hash and reference rows. Raises InputFileInvalid or StudentInvalid."""
    known = student_hash(folder, read_manifest(folder).base)
    baseline = folder / BASELINE
    rows = []
    if baseline.is_file():
        lines = enumerate(baseline.read_bytes().split(b"\n"))
        reader = LabelReader(filter_.name, ErrorStreams(filter_))
        for item in reader.read((number, line) for number, line in lines if line.strip()):
            if isinstance(item, BadLine):
                raise InputFileInvalid(f"{baseline}, line {item.position + 1}: {item.error}")
            if isinstance(item, Label):
                rows.append(item)
    return KnownStudent(folder, known, rows)


def _anchor_lines(settings: Settings) -> list[bytes]:
    """Return the lines of the file of anchors. Raises InputFileInvalid."""
    path = settings.drift.anchors
    if path is None:
        return []
    try:
        return path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputFileInvalid(f"cannot read drift.anchors, {path}: {error.strerror}") from None


def _relative(path: Path) -> Path:
    """Return a path below the present folder as a relative one, so that a record names no more of
    this machine than it has to."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
