"""The drift monitor's loop: labels, articles, canaries and decisions in, alerts out.

    poll → one order of time → filter monitors → publish alerts, state and offsets, committed

One process of a group is at work: the one that owns partition 0 of the control topic. It reads all
partitions of all its topics itself, since evidence that is split over processes is none. All its
knowledge is on the state topic: a process that takes over, or that had to abort a transaction,
restores it from there and reads on. Time is the stream's own, so the same stream leads to the same
alerts, whatever was killed in between. The steps are in `session`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from newsieve.drift.input_records import EventReader
from newsieve.errors import Transient
from newsieve.kafka.config import Partition
from newsieve.kafka.messages import GroupRecord
from newsieve.programs.drift.events import DriftObserver
from newsieve.programs.drift.session import DriftSession, MonitoredFilter, Pending
from newsieve.programs.drift.state_store import RestoredState
from newsieve.stream.exactly_once import ExactlyOnceRunner
from newsieve.stream.outcome_publisher import OutcomePublisher

IDLE_SECONDS: Final = 0.25  # how long a process that is not at work waits for its partition
POLL_SECONDS: Final = 0.2  # how long a poll waits for records
REBALANCE_RECORDS: Final = 500  # of the control topic, which is also read with all other inputs
MOST_BUFFERED: Final = 50_000  # records whose turn has not come; 30 MB
REPORT_SECONDS: Final = 5.0
# Kafka forgets offsets that nobody has committed for a week.
REMIND_SECONDS: Final = 24 * 3_600.0


@dataclass(frozen=True, slots=True)
class DriftLoopConfig:
    """`now` gives the time in milliseconds; `prefix` is the topics' prefix; `commit_seconds` is the
    longest time between commits when no alert is pending; `look_for_partitions_seconds` is the time
    between looks for partitions that were added."""

    now: Callable[[], int]
    prefix: str
    commit_seconds: float
    look_for_partitions_seconds: float = 600.0


class StateStore(Protocol):
    """The state that a predecessor left behind."""

    def restore(self) -> RestoredState:
        """Return the stored state, once no predecessor can still be writing. Raises Unavailable or
        Fatal."""
        ...

    def partitions(self) -> list[Partition]:
        """Return all partitions that are to be read. Raises as `restore` does."""
        ...


class Inputs(Protocol):
    """A consumer of given partitions, which reads from given offsets."""

    @property
    def held(self) -> frozenset[Partition]:
        """The partitions that nothing is taken from for now."""
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

    def close(self) -> None:
        """Stop consuming. `start` may be called again."""
        ...


class DriftLoop:
    """The drift monitor's loop, and its state between two steps."""

    def __init__(
        self,
        runner: ExactlyOnceRunner,
        inputs: Inputs,
        state_store: StateStore,
        begin: Callable[[], Mapping[str, MonitoredFilter]],
        reader: EventReader,
        publisher: OutcomePublisher,
        observer: DriftObserver,
        config: DriftLoopConfig,
    ) -> None:
        """`begin` makes the monitors, by filter, as they are before any record."""
        self.is_ready = False  # at work, or ready to take over; read by other threads
        self._runner = runner
        self._inputs = inputs
        self._state_store = state_store
        self._begin = begin
        self._reader = reader
        self._publisher = publisher
        self._observer = observer
        self._config = config
        self._session: DriftSession | None = None
        self._changed_at: float | None = None  # since when there is something to commit
        self._reported_at = self._looked_at = self._committed_at = 0.0

    def step(self) -> None:
        """Poll, process what is due, and commit when it is time. Raises Unavailable or Fatal,
        as all methods below do."""
        self._runner.poll(REBALANCE_RECORDS, IDLE_SECONDS if self._session is None else 0.0)
        self.is_ready = self._runner.consumer.group_metadata() is not None
        session = self._at_work()
        if session is not None:
            self._throttle(session)
            records = self._inputs.poll(POLL_SECONDS)
            now = self._config.now()
            session.add_records(records, self._config.prefix, now)
            session.process_due(now)
            self._commit_if_due(session)
            self._look_for_partitions(session)
        self._report(session)

    def commit(self) -> None:
        """Publish alerts, requests and changed state together with the offsets."""
        session, self._changed_at = self._session, None
        if session is None or not self._has_news(session):
            return
        for record in (*session.pending.out, *session.take_changes()):
            self._runner.producer.produce(record)
        seconds = self._runner.commit(session.next)
        self._publisher.committed()
        self._observer.committed(session.pending.counts, seconds)
        for step in session.pending.published_alerts:
            self._observer.alert_published(step)
        session.pending, self._committed_at = Pending(), time.monotonic()

    def drain(self, guarded: Callable[[Callable[[], None]], None]) -> None:
        """Commit and stop. Records that are buffered will come again."""
        left = self._session.timeline.size if self._session is not None else 0
        guarded(self.commit)
        self._observer.drained(left)

    def on_partitions_revoked(self, partitions: Sequence[Partition], seconds: float) -> None:  # noqa: ARG002 - of the protocol
        """Commit before partitions are revoked. Raises as `commit` does."""
        self.commit()

    def on_abort(self) -> None:
        """Drop the session, which has taken in what was not committed; the next step restores
        one."""
        self._publisher.rolled_back()
        self.on_partitions_lost(None)

    def on_partitions_lost(self, partitions: Sequence[Partition] | None) -> None:  # noqa: ARG002 - of the protocol
        """Drop the session, since the partitions are another process's now."""
        self._session = self._changed_at = None
        self._inputs.close()

    def _at_work(self) -> DriftSession | None:
        """Return the session, which is restored when this process is given its partition. Raises
        TopicsWrong, and what `StateStore.restore` raises."""
        owned = self._runner.consumer.offsets.owned()
        if self._session is None and any(number == 0 for _, number in owned):
            restored = self._state_store.restore()
            self._session = DriftSession(self._begin(), self._reader, self._publisher, *restored)
            self._inputs.start(restored.offsets)
            self._observer.resumed(len(restored.states), len(restored.offsets))
            self._looked_at = self._committed_at = time.monotonic()
        return self._session

    def _throttle(self, session: DriftSession) -> None:
        """Pause the partitions that are ahead when too many records are buffered: where one
        partition is slow, the others need not be read to their ends meanwhile."""
        size, at_hand = session.timeline.size, session.timeline.at_hand()
        if size > MOST_BUFFERED:
            self._inputs.hold(at_hand)
        elif self._inputs.held:
            self._inputs.hold(self._inputs.held & at_hand if size > MOST_BUFFERED // 2 else ())

    def _has_news(self, session: DriftSession) -> bool:
        """Return whether there is something to commit, or it is time to commit the same offsets
        again."""
        return bool(session.pending) or time.monotonic() - self._committed_at > REMIND_SECONDS

    def _commit_if_due(self, session: DriftSession) -> None:
        if not self._has_news(session):
            return
        now = time.monotonic()
        self._changed_at = now if self._changed_at is None else self._changed_at
        is_due = now - self._changed_at >= self._config.commit_seconds
        if session.pending.is_urgent or is_due:
            self.commit()

    def _look_for_partitions(self, session: DriftSession) -> None:
        """Look now and then whether partitions were added. Raises Transient if so, which restores
        a session that reads them, too."""
        if time.monotonic() - self._looked_at > self._config.look_for_partitions_seconds:
            self._looked_at = time.monotonic()
            if set(self._state_store.partitions()) - session.next.keys():
                raise Transient("partitions were added")

    def _report(self, session: DriftSession | None) -> None:
        if time.monotonic() - self._reported_at > REPORT_SECONDS:
            self._reported_at = time.monotonic()
            monitored = session.monitored.values() if session is not None else ()
            left = session.timeline.size if session is not None else None
            self._observer.measured([item.monitor for item in monitored], left)
