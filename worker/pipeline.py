"""START READING HERE. The worker's loop.

    poll → decode → rules → batch → score → tier → publish → commit

One thread owns every Kafka call. Micro-batches are scored beside it and published in the order
they were taken, so a record's outcomes, its offset and everything before it on its partition
are in one transaction. Whatever fails, the transaction is aborted, the partitions are rewound and
the same records come again; work that a rebalance or an abort made void is recognised by its
epoch and dropped. What each step does inside stands in `scoring`, `kafka.intake` and
`kafka.transaction`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from typing import Final, NamedTuple

from worker.codec.dead_letter import Place
from worker.errors import DeadLetterLimit, Fatal, OutcomeUnknown, RecordRefused, Transient
from worker.kafka.client import Partition
from worker.kafka.intake import Intake, Taken
from worker.kafka.transaction import Publisher
from worker.observe.events import Observer, Tally
from worker.outbox import Outbox
from worker.scoring import MicroBatch, Row, ScoringPath

IDLE_SECONDS: Final = 0.25  # how long an idle worker waits for a record
LINGER_SECONDS: Final = 0.01  # how long a busy one does, to fill a micro-batch
WAIT_SECONDS: Final = 0.05  # for the oldest micro-batch, before looking around again
KEEP_ALIVE_SECONDS: Final = 1.0  # without polling, rebalances would wait for the model
BACKOFF_SECONDS: Final = 0.1  # after the second abort in a row; doubled from then on
MAX_BACKOFF_SECONDS: Final = 5.0
SUSPICIOUS_FAILURES: Final = 2  # in a row; after more, ask whether the topics are still there
# To finish what is on the device before giving partitions up. The commit after it has its own
# limits, which all together stay below max.poll.interval.ms.
REVOKE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Policy:
    """How the worker batches and commits. Sizes in records, times in seconds."""

    batch_articles: int
    batches_in_flight: int
    commit_seconds: float
    commit_records: int
    drain_seconds: float


class InFlight(NamedTuple):
    """A micro-batch being scored, and where its rows came from. Tombstones have no row."""

    batch: MicroBatch
    taken: list[Taken]


class Worker:
    """The loop and what it holds between steps."""

    def __init__(
        self,
        path: ScoringPath,
        intake: Intake,
        publisher: Publisher,
        outbox: Outbox,
        policy: Policy,
        observer: Observer,
    ) -> None:
        self._path = path
        self._intake = intake
        self._publisher = publisher
        self._outbox = outbox
        self._policy = policy
        self._observer = observer
        self._in_flight: deque[InFlight] = deque()
        self._waiting: list[Taken] = []  # taken while the scorer was busy
        self._uncommitted = Tally()
        self._first_uncommitted_at: float | None = None
        self._polled_at = 0.0
        self._must_rewind: Transient | OutcomeUnknown | None = None
        self._failure: Fatal | None = None
        self._is_leaving = False
        self._failures_in_a_row = 0
        self._most_records = policy.commit_records  # fewer while a broker takes them slowly

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Work until told to stop, then drain; the publisher is connected.

        Raises Fatal when the process has to end.
        """
        self._intake.subscribe(self)
        try:
            while not should_stop():
                self._guarded(self._step)
            self._drain()
        except (DeadLetterLimit, RecordRefused):
            self._guarded(self._commit)  # up to the record that stops us
            raise
        finally:
            self._is_leaving = True  # what is not committed by now comes again, elsewhere
            self._drop_in_flight()
            self._publisher.leave()
            self._intake.close()

    def _step(self) -> None:
        self._observer.heartbeat()
        if len(self._in_flight) < self._policy.batches_in_flight:
            self._take_in()
        else:
            self._wait_for_scores(WAIT_SECONDS)
            self._keep_membership_alive()
        self._publish_finished()
        self._commit_if_due()

    def _take_in(self) -> None:
        """Send one micro-batch of whatever has come to the scorer."""
        is_idle = not self._in_flight and self._first_uncommitted_at is None
        room = self._policy.batch_articles - len(self._waiting)
        taken = self._waiting
        self._waiting = []
        if room > 0:
            taken += self._take(
                room if not is_idle else 1, IDLE_SECONDS if is_idle else LINGER_SECONDS
            )
        if is_idle and taken and room > 1:
            taken += self._take(room - 1, LINGER_SECONDS)
        if taken:
            records = [item.record for item in taken if item.record is not None]
            self._in_flight.append(InFlight(self._path.start(records), taken))

    def _take(self, count: int, seconds: float) -> list[Taken]:
        self._polled_at = time.monotonic()
        taken = self._intake.take(count, seconds)
        if self._failure is not None:
            raise self._failure
        if self._must_rewind is not None:  # a rebalance's commit failed
            failure, self._must_rewind = self._must_rewind, None
            raise failure
        return taken

    def _keep_membership_alive(self) -> None:
        """Serve rebalances while the scorer is busy. A record that comes with it waits."""
        if time.monotonic() - self._polled_at > KEEP_ALIVE_SECONDS:
            self._waiting += self._take(1, 0)

    def _wait_for_scores(self, seconds: float) -> None:
        if self._in_flight and self._in_flight[0].batch.scores is not None:
            wait([self._in_flight[0].batch.scores], timeout=seconds)

    def _publish_finished(self) -> None:
        while self._in_flight and self._in_flight[0].batch.is_done:
            finished = self._in_flight.popleft()
            rows = iter(self._path.finish(finished.batch))
            for item in finished.taken:
                row = next(rows) if item.record is not None else None
                if self._is_current(item):
                    self._publish(item, row)
            if self._uncommitted.records >= self._most_records:
                self._commit()

    def _publish(self, item: Taken, row: Row | None) -> None:
        """All outcomes of one raw record into the open transaction."""
        if self._first_uncommitted_at is None:
            self._first_uncommitted_at = time.monotonic()
        if row is not None:
            outcomes = self._outbox.put(row, Place(*item.partition, item.offset))
            self._uncommitted.add(row, outcomes)
        else:
            self._uncommitted.tombstones += 1
        self._intake.offsets.produce(item.partition, item.offset)

    def _commit_if_due(self) -> None:
        since = self._first_uncommitted_at
        if since is None:
            return
        if time.monotonic() - since >= self._policy.commit_seconds:
            self._commit()

    def _commit(self) -> None:
        offsets = self._intake.offsets.to_commit()
        if offsets:
            metadata = self._intake.group_metadata()
            if metadata is None:  # Kafka would accept the commit, unfenced
                self._publisher.abort()
                raise Transient("no longer a member of the group")
            started = time.monotonic()
            self._publisher.commit(offsets, metadata)
            self._intake.offsets.committed()
            self._outbox.committed()
            self._observer.committed(self._uncommitted, time.monotonic() - started)
            self._failures_in_a_row = 0
            self._most_records = min(2 * self._most_records, self._policy.commit_records)
        self._uncommitted = Tally()
        self._first_uncommitted_at = None

    def _guarded(self, step: Callable[[], None]) -> None:
        """Run a step; what is not its fault, take back and do again."""
        try:
            step()
        except Transient as failure:
            self._back_off(str(failure))
            self._forget_uncommitted()
            if self._failures_in_a_row > SUSPICIOUS_FAILURES:
                self._intake.require_topics()
            self._intake.rewind()
        except OutcomeUnknown as failure:
            self._back_off(f"outcome unknown: {failure}")
            self._forget_uncommitted()
            self._intake.rewind_to_committed()

    def _back_off(self, reason: str) -> None:
        """At once, then after longer and longer, and with less at a time: the world is slow."""
        self._observer.aborted(reason)
        self._most_records = max(self._most_records // 2, 1)
        if self._failures_in_a_row:
            time.sleep(min(BACKOFF_SECONDS * 2**self._failures_in_a_row, MAX_BACKOFF_SECONDS))
        self._failures_in_a_row += 1

    def _forget_uncommitted(self) -> None:
        self._drop_in_flight()
        self._outbox.rolled_back()
        self._uncommitted = Tally()
        self._first_uncommitted_at = None

    def _drop_in_flight(self) -> None:
        for item in self._in_flight:
            if item.batch.scores is not None:
                item.batch.scores.cancel()
        self._in_flight.clear()
        self._waiting = []

    def _is_current(self, item: Taken) -> bool:
        return self._intake.offsets.is_current(item.partition, item.epoch)

    def _drain(self) -> None:
        """Finish what is in flight, commit it, leave. What does not finish in time comes again."""
        deadline = time.monotonic() + self._policy.drain_seconds
        self._waiting = []
        while self._in_flight and time.monotonic() < deadline:
            self._observer.heartbeat()
            self._wait_for_scores(WAIT_SECONDS)
            self._guarded(self._publish_finished)
            self._guarded(self._commit_if_due)
        abandoned = sum(len(item.taken) for item in self._in_flight)
        self._guarded(self._commit)
        self._observer.drained(abandoned)

    def before_revoke(self, partitions: Sequence[Partition]) -> None:
        """Finish what is nearly finished, commit, let go. Runs inside `Intake.take`.

        Once a commit has failed nothing more is committed before the rewind: the transaction is
        gone, and offsets without their records would lose them.
        """
        if self._is_leaving or self._must_rewind is not None or self._failure is not None:
            return
        leaving = set(partitions)
        concerned = leaving & self._intake.offsets.to_commit().keys() or any(
            taken.partition in leaving for item in self._in_flight for taken in item.taken
        )
        if not concerned:
            return
        deadline = time.monotonic() + REVOKE_SECONDS
        try:
            while self._in_flight and (left := deadline - time.monotonic()) > 0:
                self._wait_for_scores(left)
                self._publish_finished()
            self._commit()
        except (Transient, OutcomeUnknown) as failure:
            self._must_rewind = failure
        except Fatal as failure:
            self._failure = self._failure or failure
            self._abort()  # the leaving partitions' offsets are about to be forgotten

    def after_loss(self) -> None:
        """The group has gone on without us: nothing uncommitted may be committed."""
        self._must_rewind = Transient("partitions were lost")
        self._abort()

    def _abort(self) -> None:
        """Give the transaction up, inside a rebalance, where nothing may be raised. Seeking back
        waits until the rebalance is over; that nothing uncommitted counts holds from now on."""
        self._forget_uncommitted()
        self._intake.offsets.rewind()
        try:
            self._publisher.abort()
        except OutcomeUnknown as failure:
            self._must_rewind = failure
        except Fatal as failure:
            self._failure = self._failure or failure
