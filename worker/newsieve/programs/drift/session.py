"""State of the drift program from the start of an assignment to its end.

Orders input records by event time, applies them to the filter monitors, and collects alerts and
requests for anchor labels until the next commit. Makes no Kafka calls and has no clock: `now` is
the caller's, all other times are the stream's.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final, NamedTuple

from newsieve.drift.anchor_file import AnchorArticle
from newsieve.drift.condition_alert import CanaryResult
from newsieve.drift.data_drift import ScoreSample
from newsieve.drift.decision_log import Decision
from newsieve.drift.filter_monitor import FilterMonitor
from newsieve.drift.input_records import Event, EventReader
from newsieve.drift.label_reader import AnchorLabel, Label
from newsieve.drift.monitor_state import Identity, Transition
from newsieve.drift.output_records import (
    DriftRecordEncoder,
    RestoredMonitor,
    read_state,
    unreadable,
)
from newsieve.drift.snapshot import DISTRIBUTIONS, Snapshot
from newsieve.drift.snapshot_formats import migrate
from newsieve.errors import RecordError
from newsieve.filters.registry import Filter
from newsieve.kafka.config import Partition
from newsieve.kafka.event_time_merge import EventTimeMerger, TimedRecord, clamp_timestamp
from newsieve.kafka.messages import GroupRecord
from newsieve.records.dead_letter import RecordPosition
from newsieve.records.decode import RawRecord
from newsieve.records.encode import OutRecord
from newsieve.stream.outcome import DEAD_LETTER, Outcome
from newsieve.stream.outcome_publisher import OutcomePublisher
from newsieve.stream.transaction_counts import TransactionCounts

EVENTS_AT_ONCE: Final = 5_000  # before the loop polls again: they take a tenth of a second
TICK_MILLISECONDS: Final = 60_000
MOST_TICKS: Final = 10_080  # at once, a week's: within it silence has led to all it leads to
EMPTY: Final = RawRecord(b"", None, None, None, {})  # counts as a record without dead letters

KINDS: Final[dict[type, str]] = {
    Label: "label",
    AnchorLabel: "anchor",
    ScoreSample: "article",
    Decision: "decision",
    CanaryResult: "canaries",
}


class Unreadable(NamedTuple):
    """A record that cannot be read, and the error that says why."""

    record: RawRecord
    error: RecordError


@dataclass(frozen=True, slots=True)
class MonitoredFilter:
    """One filter's monitor, the encoder of its records, and the articles of its anchors by id."""

    monitor: FilterMonitor
    encoder: DriftRecordEncoder
    anchors: Mapping[str, AnchorArticle]


@dataclass(slots=True)
class Pending:
    """What was published or processed since the last commit."""

    out: list[OutRecord] = field(default_factory=list)
    # The transitions whose alerts are in `out`.
    published_alerts: list[Transition] = field(default_factory=list)
    counts: TransactionCounts = field(default_factory=TransactionCounts)
    is_urgent: bool = False  # it is to be committed at once

    def __bool__(self) -> bool:
        return bool(self.out or self.counts.records)


class DriftSession:
    """Drift processing state of one partition assignment, from restore to revoke."""

    def __init__(
        self,
        monitored: Mapping[str, MonitoredFilter],
        reader: EventReader,
        publisher: OutcomePublisher,
        offsets: Mapping[Partition, int],
        states: Mapping[bytes, bytes],
    ) -> None:
        """Continue from `states`, by key, and from `offsets`, in the order of partitions that
        decides between records of one moment. Raises TopicsWrong for a state that cannot be
        read."""
        self.monitored = monitored
        self.pending = Pending()
        self.next = dict(offsets)  # the first offset that was not handled
        self.timeline: EventTimeMerger[Event | Unreadable | None] = EventTimeMerger(list(offsets))
        self._reader = reader
        self._publisher = publisher
        self._stream_time_ms = 0  # of the latest record or tick
        # As it stands on the state topic, or will with the next commit.
        self._recorded = resume(monitored, states)
        ticks = [item.monitor.ticked_at for item in monitored.values()]
        self._ticked_at = max((tick for tick in ticks if tick is not None), default=None)

    def add_records(self, records: Iterable[GroupRecord], prefix: str, now: int) -> None:
        """Read records and buffer them until their turn. `prefix` is the topics'."""
        for record, (topic, number), offset, _ in records:
            if record is None:
                self.timeline.at_end((topic, number))
                continue
            timestamp_ms = clamp_timestamp(record.timestamp_ms, now)
            item = self._read(topic.removeprefix(f"{prefix}."), record, timestamp_ms)
            is_own = timestamp_ms == record.timestamp_ms
            self.timeline.put(TimedRecord((topic, number), offset, timestamp_ms, item, is_own), now)

    def process_due(self, now: int) -> None:
        """Process the records that are due, in order, with the ticks in between.

        Raises DeadLetterLimit before anything of a record is done, and what
        `OutcomePublisher.publish` raises.
        """
        handled = 0
        for record in islice(self.timeline.due(now), EVENTS_AT_ONCE):
            self._tick(record.timestamp_ms)
            self._handle(record)
            handled += 1
        watermark = self.timeline.watermark(now)
        if handled < EVENTS_AT_ONCE and watermark is not None and self._ticked_at is not None:
            self._tick(watermark)

    def take_changes(self) -> Iterator[OutRecord]:
        """Yield the records of all state that differs from what is on the state topic."""
        for monitored in self.monitored.values():
            for snapshot in monitored.monitor.take_changes():
                if self._recorded.get(snapshot.identity) != snapshot:
                    self._recorded[snapshot.identity] = snapshot
                    yield monitored.encoder.state(snapshot, self._stream_time_ms)

    def _read(self, topic: str, record: RawRecord, timestamp_ms: int) -> Event | Unreadable | None:
        if record.value is None:  # a tombstone
            return None
        try:
            return self._reader.read(topic, record.value, timestamp_ms)
        except RecordError as error:
            return Unreadable(record, error)

    def _handle(self, record: TimedRecord[Event | Unreadable | None]) -> None:
        item, counts = record.item, self.pending.counts
        place = RecordPosition(*record.partition, record.offset)
        if isinstance(item, Unreadable):
            letter = Outcome(None, DEAD_LETTER, None, [], item.error)
            counts.add(item.record, self._publisher.publish(item.record, place, [letter]))
            self.pending.is_urgent = True
        else:
            self._publisher.publish(EMPTY, place, [])
            counts.records += 1
            if record.has_own_time:
                counts.timestamps_ms.append(record.timestamp_ms)
        self._stream_time_ms = max(self._stream_time_ms, record.timestamp_ms)
        if isinstance(item, Event):
            counts.outcomes[item.filter, KINDS[type(item.payload)], ""] += 1
            monitored = self.monitored[item.filter]
            self._publish_alerts(monitored, _apply(monitored.monitor, item))
            self._request_anchor_labels(monitored, record.timestamp_ms)
        self.next[record.partition] = record.offset + 1

    def _tick(self, until: int) -> None:
        """Let time pass in the monitors, minute by minute, up to a moment of the stream."""
        if self._ticked_at is None:
            self._ticked_at = until - until % TICK_MILLISECONDS
        first = self._ticked_at + TICK_MILLISECONDS
        last_week = until - until % TICK_MILLISECONDS - MOST_TICKS * TICK_MILLISECONDS
        for timestamp_ms in range(max(first, last_week), until, TICK_MILLISECONDS):
            self._ticked_at = timestamp_ms
            self._stream_time_ms = max(self._stream_time_ms, timestamp_ms)
            for monitored in self.monitored.values():
                self._publish_alerts(monitored, monitored.monitor.tick(timestamp_ms))

    def _publish_alerts(self, monitored: MonitoredFilter, steps: Sequence[Transition]) -> None:
        """Make alerts of transitions, but for those that only status and metrics show."""
        for step in steps:
            if step.is_published:
                self.pending.out.append(monitored.encoder.alert(step))
                self.pending.published_alerts.append(step)
                self.pending.is_urgent = True

    def _request_anchor_labels(self, monitored: MonitoredFilter, timestamp_ms: int) -> None:
        """Request labels for the anchors that are wanted. A single one can wait for the next
        commit."""
        wanted = list(dict.fromkeys(monitored.monitor.attribution.wanted))
        monitored.monitor.attribution.wanted.clear()
        for name in wanted:
            self.pending.out.append(
                monitored.encoder.anchor_request(monitored.anchors[name], timestamp_ms)
            )
        self.pending.is_urgent = self.pending.is_urgent or len(wanted) > 1


def resume(
    monitored: Mapping[str, MonitoredFilter], states: Mapping[bytes, bytes]
) -> dict[Identity, Snapshot]:
    """Let fresh monitors continue from the records of the state topic; return the snapshots used.

    States of other filters, and of versions whose labels mean something else, are left alone.
    Raises TopicsWrong.
    """
    resumed: dict[Identity, Snapshot] = {}
    for key, value in states.items():
        restored = read_state(key, value)
        ours = monitored.get(restored.filter)
        if ours is None or not ours.monitor.filter.has_meaning(restored.label_hash):
            continue
        is_distribution = restored.snapshot.identity.stratum == DISTRIBUTIONS
        if is_distribution and restored.filter_hash != ours.monitor.filter.filter_hash:
            continue  # it was made with other tiers
        try:
            snapshot = _migrated(restored, ours.monitor.filter)
            ours.monitor.resume(snapshot)
        except (AttributeError, LookupError, TypeError, ValueError, zlib.error) as error:
            raise unreadable(key, f"{type(error).__name__}: {error}") from None
        resumed[snapshot.identity] = snapshot
    return resumed


def _migrated(restored: RestoredMonitor, filter_: Filter) -> Snapshot:
    """Return the snapshot in today's format."""
    if restored.snapshot.detector is None:
        return restored.snapshot
    names = filter_.definition.dimension_names
    return replace(
        restored.snapshot, detector=migrate(restored.snapshot.detector, restored.format, names)
    )


def _apply(monitor: FilterMonitor, event: Event) -> list[Transition]:
    """Give an input to its filter's monitor."""
    payload = event.payload
    if isinstance(payload, ScoreSample):
        return monitor.scored(payload, event.student)
    if isinstance(payload, Label):
        return monitor.label(payload)
    if isinstance(payload, AnchorLabel):
        return monitor.anchor(payload)
    if isinstance(payload, Decision):
        return monitor.decide(payload)
    return monitor.canaries(payload)
