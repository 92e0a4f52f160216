"""What a drift monitor knows and does between a takeover and its next commit.

Records come in as they arrive and are handled in one order of time; steps of the watches become
alerts, questions to the oracle become requests, and all of it waits to be published. No Kafka
here but for where records stood, and no clock: `now` is the caller's, all other times the stream's.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

from worker.codec.dead_letter import Place
from worker.codec.decode import RawRecord
from worker.codec.encode import OutRecord
from worker.drift.anchor_file import AnchorArticle
from worker.drift.decisions import Decision
from worker.drift.events import Event, EventReader
from worker.drift.labels import AnchorLabel, Label
from worker.drift.records import Records, read_state, unreadable
from worker.drift.signals import CanaryResult
from worker.drift.states import Identity, Transition
from worker.drift.unlabelled import ScoredArticle
from worker.drift.watch import SKETCHES, Saved, Watch
from worker.errors import RecordError
from worker.kafka.client import Partition
from worker.kafka.inlets import Arrival
from worker.kafka.timeline import Dated, Timeline, believable
from worker.observe.events import Tally
from worker.outbox import Outbox
from worker.scoring import DEAD_LETTER, Outcome, Row

EVENTS_AT_ONCE: Final = 5_000  # before the loop looks around again: a tenth of a second
TICK_MILLISECONDS: Final = 60_000
MOST_TICKS: Final = 10_080  # at once, a week's: whatever silence leads to, it has led to by then
GOOD: Final = Row(RawRecord(b"", None, None, None, {}), None, (), [])  # as the limits count it

KINDS: Final[dict[type, str]] = {
    Label: "label",
    AnchorLabel: "anchor",
    ScoredArticle: "article",
    Decision: "decision",
    CanaryResult: "canaries",
}


class Unreadable(NamedTuple):
    """A record that says nothing, and why."""

    record: RawRecord
    error: RecordError


@dataclass(frozen=True, slots=True)
class Watched:
    """One filter's watch, its records, and the articles of its anchors."""

    watch: Watch
    records: Records
    anchors: Mapping[str, AnchorArticle]


@dataclass(slots=True)
class Pending:
    """What is not committed yet."""

    out: list[OutRecord] = field(default_factory=list)
    told: list[Transition] = field(default_factory=list)  # those of them that are alerts
    tally: Tally = field(default_factory=Tally)
    is_urgent: bool = False  # somebody waits for it, or a transaction is open

    def __bool__(self) -> bool:
        return bool(self.out or self.tally.records)


class Course:
    """Of one takeover."""

    def __init__(
        self,
        watched: Mapping[str, Watched],
        reader: EventReader,
        outbox: Outbox,
        offsets: Mapping[Partition, int],
        states: Mapping[bytes, bytes],
    ) -> None:
        """Goes on from `states`, by key, and from `offsets`, in the order of partitions that
        decides between records of one moment. Raises TopicsWrong for a state that cannot be read.
        """
        self.watched = watched
        self.pending = Pending()
        self.next = dict(offsets)  # the first offset that was not handled
        self.timeline: Timeline[Event | Unreadable | None] = Timeline(list(offsets))
        self._reader = reader
        self._outbox = outbox
        self._at = 0  # the stream's time
        self._saved = resume(watched, states)  # as it stands on record, or will with this commit
        ticks = [item.watch.ticked_at for item in watched.values()]
        self._ticked_at = max((at for at in ticks if at is not None), default=None)

    def take(self, arrivals: Iterable[Arrival], prefix: str, now: int) -> None:
        """What has come, as what it says. `prefix` is the topics'."""
        for (topic, number), offset, record in arrivals:
            if record is None:
                self.timeline.at_end((topic, number))
                continue
            at = believable(record.timestamp_ms, now)
            item = self._read(topic.removeprefix(f"{prefix}."), record, at)
            is_own = at == record.timestamp_ms
            self.timeline.put(Dated((topic, number), offset, at, item, is_own), now)

    def follow(self, now: int) -> None:
        """Handle what may go, in order, with the time's passing in between.

        Raises DeadLetterLimit before anything of a record is done, and what `Outbox.put` raises.
        """
        handled = 0
        for record in islice(self.timeline.due(now), EVENTS_AT_ONCE):
            self._tick(record.at)
            self._handle(record)
            handled += 1
        quiet_until = self.timeline.quiet_until(now)
        if handled < EVENTS_AT_ONCE and quiet_until is not None and self._ticked_at is not None:
            self._tick(quiet_until)

    def take_changes(self) -> Iterator[OutRecord]:
        """Snapshots of all that is not on record as it is."""
        for watched in self.watched.values():
            for saved in watched.watch.take_changes():
                if self._saved.get(saved.identity) != saved:
                    self._saved[saved.identity] = saved
                    yield watched.records.state(saved, self._at)

    def _read(self, topic: str, record: RawRecord, at: int) -> Event | Unreadable | None:
        if record.value is None:  # a tombstone
            return None
        try:
            return self._reader.read(topic, record.value, at)
        except RecordError as error:
            return Unreadable(record, error)

    def _handle(self, record: Dated[Event | Unreadable | None]) -> None:
        item, tally = record.item, self.pending.tally
        place = Place(*record.partition, record.offset)
        if isinstance(item, Unreadable):
            row = Row(item.record, None, (), [Outcome(None, DEAD_LETTER, None, [], item.error)])
            tally.add(row, self._outbox.put(row, place))
            self.pending.is_urgent = True
        else:
            self._outbox.put(GOOD, place)
            tally.records += 1
            if record.has_own_time:
                tally.timestamps_ms.append(record.at)
        self._at = max(self._at, record.at)
        if isinstance(item, Event):
            tally.outcomes[item.filter, KINDS[type(item.said)], ""] += 1
            watched = self.watched[item.filter]
            self._tell(watched, _happens(watched.watch, item))
            self._ask(watched, record.at)
        self.next[record.partition] = record.offset + 1

    def _tick(self, until: int) -> None:
        """What time alone brings, before a moment of the stream's."""
        if self._ticked_at is None:
            self._ticked_at = until - until % TICK_MILLISECONDS
        first = self._ticked_at + TICK_MILLISECONDS
        last_week = until - until % TICK_MILLISECONDS - MOST_TICKS * TICK_MILLISECONDS
        for at in range(max(first, last_week), until, TICK_MILLISECONDS):
            self._ticked_at = at
            self._at = max(self._at, at)
            for watched in self.watched.values():
                self._tell(watched, watched.watch.tick(at))

    def _tell(self, watched: Watched, steps: Sequence[Transition]) -> None:
        """Steps become alerts, but for those that nobody is told of."""
        for step in steps:
            if step.is_told:
                self.pending.out.append(watched.records.alert(step))
                self.pending.told.append(step)
                self.pending.is_urgent = True

    def _ask(self, watched: Watched, at: int) -> None:
        """Have anchors labelled. A single one can wait for the next commit."""
        wanted = list(dict.fromkeys(watched.watch.anchors_wanted))
        watched.watch.anchors_wanted.clear()
        for name in wanted:
            self.pending.out.append(watched.records.anchor_request(watched.anchors[name], at))
        self.pending.is_urgent = self.pending.is_urgent or len(wanted) > 1


def resume(watched: Mapping[str, Watched], states: Mapping[bytes, bytes]) -> dict[Identity, Saved]:
    """Let fresh watches go on from these records; return what was taken up.

    States of other filters, and of versions whose labels mean something else, are left alone.
    Raises TopicsWrong.
    """
    found: dict[Identity, Saved] = {}
    for key, value in states.items():
        kept = read_state(key, value)
        ours = watched.get(kept.filter)
        if ours is None or kept.label_hash != ours.watch.filter.label_hash:
            continue
        is_sketch = kept.saved.identity.stratum == SKETCHES
        if is_sketch and kept.filter_hash != ours.watch.filter.filter_hash:
            continue  # of other tiers
        try:
            ours.watch.resume(kept.saved)
        except (AttributeError, LookupError, TypeError, ValueError, zlib.error) as error:
            raise unreadable(key, f"{type(error).__name__}: {error}") from None
        found[kept.saved.identity] = kept.saved
    return found


def _happens(watch: Watch, event: Event) -> list[Transition]:
    said = event.said
    if isinstance(said, ScoredArticle):
        return watch.scored(said, event.student)
    if isinstance(said, Label):
        return watch.label(said)
    if isinstance(said, AnchorLabel):
        return watch.anchor(said)
    if isinstance(said, Decision):
        return watch.decide(said)
    return watch.canaries(said)
