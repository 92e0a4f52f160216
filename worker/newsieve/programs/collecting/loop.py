"""The collector's loop: topics in, rows of the store out, each record once.

    poll → rows → one SQLite transaction with the offsets behind them → tell who waits for news

The store has the offsets, so no consumer group is joined, nothing is committed at the broker, and
a store that is deleted is filled again. Texts come first: until the raw topic has been read to what
was its end, no other is read, so that an outcome finds its text. A broker that is away is waited
for; pages stay, as old as they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from newsieve.errors import InvalidRecord, RecordError, Unavailable
from newsieve.kafka.config import Partition
from newsieve.kafka.messages import GroupRecord
from newsieve.programs.collecting.events import CollectorObserver
from newsieve.records.decode import RawRecord
from newsieve.store.rows import Row, TextRow

# What others write to a topic must not end the loop, whatever of it a maker of rows stumbles on.
FAULTS_OF_A_RECORD: Final = (RecordError, ArithmeticError, LookupError, TypeError, ValueError)
POLL_SECONDS: Final = 0.25
POLL_RECORDS: Final = 500  # raw records may have megabytes each
REPORT_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 60.0  # between looks for partitions that were added
RETENTION_SECONDS: Final = 30.0  # between looks for what has expired
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 15.0


class Inputs(Protocol):
    """A consumer of given partitions, which reads from given offsets."""

    def bounds(self) -> dict[Partition, tuple[int, int]]:
        """Return where each partition begins and ends. Raises Unavailable or Fatal."""
        ...

    def start(self, offsets: Mapping[Partition, int]) -> None:
        """Start to read from these offsets."""
        ...

    def poll(self, seconds: float) -> list[GroupRecord]:
        """Return the records that have come. Raises Unavailable or Fatal."""
        ...

    def hold(self, partitions: Collection[Partition]) -> None:
        """Pause these partitions, and resume all others."""
        ...

    def lag(self) -> dict[Partition, int]:
        """Return how many records are behind each position."""
        ...

    def close(self) -> None:
        """Stop consuming. `start` may be called again."""
        ...


class Store(Protocol):
    """What rows are written to."""

    def positions(self) -> dict[Partition, int]:
        """Return the offset behind the last record of each partition that is stored."""
        ...

    def write(self, rows: list[Row], offsets: Mapping[Partition, int]) -> None:
        """Write rows and offsets, all or nothing. Raises StoreFailed."""
        ...


MakeRow = Callable[[RawRecord], Row | None]


@dataclass(frozen=True, slots=True)
class Routes:
    """What is made of each topic's records: a row, or None for nothing. `raw` is the topic that is
    read first."""

    by_topic: Mapping[str, MakeRow]
    raw: str


@dataclass(slots=True)
class _Progress:
    """How far a consumer has come since its start."""

    next: dict[Partition, int]
    raw_left: dict[Partition, int]  # partitions of texts that are not read to this end yet
    looked_at: float = field(default_factory=time.monotonic)


class CollectorLoop:
    """The loop, and its state between two steps."""

    def __init__(
        self,
        inputs: Inputs,
        store: Store,
        routes: Routes,
        observer: CollectorObserver,
        remove_expired: Callable[[], int],
    ) -> None:
        """`remove_expired` removes one batch of what the store keeps no longer, and returns how
        much that was."""
        self._inputs = inputs
        self._store = store
        self._routes = routes
        self._observer = observer
        self._remove_expired = remove_expired
        self._progress: _Progress | None = None
        self._expires_at = self._reported_at = 0.0

    def run(self, should_stop: Callable[[], bool], wait: Callable[[float], object]) -> None:
        """Collect until told to stop; `wait` waits so many seconds, or until then. Raises Fatal."""
        pause = FIRST_PAUSE_SECONDS
        try:
            while not should_stop():
                try:
                    self.step()
                    pause = FIRST_PAUSE_SECONDS
                except Unavailable as error:
                    self._observer.interrupted(str(error), pause)
                    self._progress = None
                    wait(pause)
                    pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                self._observer.heartbeat()
        finally:
            self._inputs.close()

    def step(self) -> None:
        """Poll, write what came, and remove what has expired when it is time. Raises Unavailable or
        Fatal."""
        progress = self._progress
        if progress is None:
            progress = self._progress = self._start()
        records = self._inputs.poll(POLL_SECONDS)
        if records:
            self._take(progress, records)
        now = time.monotonic()
        if now >= self._expires_at and self._remove_expired() == 0:
            self._expires_at = now + RETENTION_SECONDS
        if now - self._reported_at > REPORT_SECONDS:
            self._reported_at = now
            self._observer.measured(self._inputs.lag())
        if now - progress.looked_at > LOOK_SECONDS:
            progress.looked_at = now
            if self._inputs.bounds().keys() - progress.next.keys():
                self._progress = None  # partitions were added

    def _start(self) -> _Progress:
        """Begin to read where the store ends, or where a topic does that was made anew or has lost
        what was to be read."""
        bounds, stored = self._inputs.bounds(), self._store.positions()
        offsets = {}
        for partition, (low, high) in bounds.items():
            position = stored.get(partition, low)
            if position < low:
                self._observer.expired(partition, low - position)
            elif position > high:
                self._observer.made_anew(partition, position, high)
            offsets[partition] = position if low <= position <= high else low
        raw_left = {
            item: bounds[item][1]
            for item, offset in offsets.items()
            if item[0] == self._routes.raw and offset < bounds[item][1]
        }
        self._inputs.start(offsets)
        if raw_left:
            self._inputs.hold({item for item in offsets if item[0] != self._routes.raw})
        self._observer.started(
            len(offsets), sum(bounds[item][1] - offsets[item] for item in offsets)
        )
        return _Progress(offsets, raw_left)

    def _take(self, progress: _Progress, records: list[GroupRecord]) -> None:
        """Write the rows of records, texts first, and the offsets behind them."""
        rows: list[Row] = []
        offsets: dict[Partition, int] = {}
        for item in records:
            offsets[item.partition] = item.offset if item.record is None else item.offset + 1
            if item.record is None:
                continue
            row = self._row(item.partition[0], item.record)
            if row is not None:
                rows.append(row)
        rows.sort(key=lambda row: not isinstance(row, TextRow))  # stable: each topic in its order
        begun = time.monotonic()
        moved = {item: end for item, end in offsets.items() if progress.next[item] != end}
        if rows or moved:
            self._store.write(rows, moved)
            progress.next |= moved
            self._observer.written(rows, time.monotonic() - begun)
        for partition, end in list(progress.raw_left.items()):
            if offsets.get(partition, 0) >= end:
                del progress.raw_left[partition]
        if not progress.raw_left:
            self._inputs.hold(())

    def _row(self, topic: str, record: RawRecord) -> Row | None:
        try:
            return self._routes.by_topic[topic](record)
        except FAULTS_OF_A_RECORD as fault:
            error = fault if isinstance(fault, RecordError) else InvalidRecord(repr(fault)[:200])
            self._observer.refused(topic, record.input["partition"], record.input["offset"], error)
            return None
