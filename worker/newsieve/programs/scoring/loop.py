"""START READING HERE. The worker's loop.

    poll → decode → rules → batch → score → tier → publish → commit

One thread owns every Kafka call. Micro-batches are scored beside it and published in the order
they were taken, so a record's outcomes, its offset and everything before it on its partition
are in one transaction. Work that a rebalance or an abort made void is recognised by its epoch and
dropped. Whatever fails, `delivery` takes back what is not committed, and the same records come
again; where that ended a process, `crash_recovery` says what may be in flight together. What each
step does inside stands in `scoring`, `kafka.intake` and `kafka.transaction`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from typing import Final, NamedTuple

from newsieve.deadline import Deadline
from newsieve.errors import KilledWorker
from newsieve.kafka.config import Partition
from newsieve.kafka.messages import GroupRecord
from newsieve.programs.scoring.canaries import Canaries, Report
from newsieve.programs.scoring.events import ScoringObserver
from newsieve.programs.scoring.path import MicroBatch, RecordOutcomes, ScoringPath
from newsieve.records.dead_letter import RecordPosition
from newsieve.stream.crash_recovery import CrashRecovery
from newsieve.stream.exactly_once import ExactlyOnceRunner
from newsieve.stream.outcome import Outcome
from newsieve.stream.outcome_publisher import OutcomePublisher
from newsieve.stream.transaction_counts import TransactionCounts

IDLE_SECONDS: Final = 0.25  # how long an idle worker waits for a record
LINGER_SECONDS: Final = 0.01  # how long a busy one does, to fill a micro-batch
WAIT_SECONDS: Final = 0.05  # for the oldest micro-batch, before looking around again
KEEP_ALIVE_SECONDS: Final = 1.0  # without polling, rebalances would wait for the model


@dataclass(frozen=True, slots=True)
class BatchingConfig:
    """How the worker batches and commits. Sizes in records, times in seconds."""

    batch_articles: int
    batches_in_flight: int
    commit_seconds: float
    commit_records: int
    drain_seconds: float

    @property
    def most_in_flight(self) -> int:
        """How many records can have been taken without a committed outcome: with those of a commit
        that grows by a whole micro-batch, and of one that waits."""
        return self.commit_records + (self.batches_in_flight + 2) * self.batch_articles


class InFlight(NamedTuple):
    """A micro-batch being scored, and where its rows came from. Tombstones have no row."""

    batch: MicroBatch
    taken: list[GroupRecord]


class ScoringLoop:
    """The loop and what it holds between steps."""

    def __init__(
        self,
        path: ScoringPath,
        delivery: ExactlyOnceRunner,
        outbox: OutcomePublisher,
        policy: BatchingConfig,
        observer: ScoringObserver,
        recovery: CrashRecovery,
        canaries: Canaries | None = None,
    ) -> None:
        self._path = path
        self._recovery = recovery
        self._delivery = delivery
        self._offsets = delivery.intake.offsets
        self._outbox = outbox
        self._policy = policy
        self._observer = observer
        self._canaries = canaries
        self._in_flight: deque[InFlight] = deque()
        self._buffered: list[GroupRecord] = []  # taken while the scorer was busy
        self._uncommitted = TransactionCounts()
        self._first_uncommitted_at: float | None = None
        self._polled_at = 0.0
        self._most_records = policy.commit_records  # fewer while a broker takes them slowly

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Work until told to stop, then drain. Raises Fatal when the process has to end."""
        self._delivery.run(self, should_stop)

    def step(self) -> None:
        """Raises Unavailable or Fatal, as all below do."""
        most = 1 if self._recovery.is_careful() else self._policy.batches_in_flight
        if len(self._in_flight) < most:
            self._poll_and_submit()
        else:
            self._wait_for_scores(WAIT_SECONDS)
            self._keep_membership_alive()
        self._publish_finished()
        self._commit_if_due()

    def _poll_and_submit(self) -> None:
        """Send one micro-batch of whatever has come to the scorer."""
        is_open = self._first_uncommitted_at is not None
        is_idle = not (self._in_flight or self._buffered or is_open)
        room = self._policy.batch_articles - len(self._buffered)
        taken = self._buffered
        self._buffered = []
        if room > 0:
            taken += self._take(
                room if not is_idle else 1, IDLE_SECONDS if is_idle else LINGER_SECONDS
            )
        if is_idle and taken and room > 1:
            taken += self._take(room - 1, LINGER_SECONDS)
        if taken and not self._recovery.allows(taken):
            taken = self._admit(taken)
        if taken:
            self._in_flight.append(InFlight(self._begin(taken), taken))

    def _admit(self, taken: list[GroupRecord]) -> list[GroupRecord]:
        """What of it may be begun now, on record as being in flight; the rest waits."""
        taken = [item for item in taken if self._offsets.is_current(item.partition, item.epoch)]
        self._recovery.learn({item.partition for item in taken})
        if self._recovery.is_careful() and self._in_flight:
            self._buffered = taken
            return []
        begun, waiting = self._recovery.pick(taken)
        is_scored = self._recovery.blame(begun) is None
        if noted := self._recovery.cover(begun, is_scored=is_scored):
            self._commit(noted)
        self._buffered = waiting
        return begun

    def _begin(self, taken: list[GroupRecord]) -> MicroBatch:
        records = [item.record for item in taken if item.record is not None]
        error = self._recovery.blame(taken)
        if error is not None and records:
            return self._path.refuse(records[0], error)
        return self._path.start(records)

    def _take(self, count: int, seconds: float) -> list[GroupRecord]:
        self._polled_at = time.monotonic()
        return self._delivery.poll(count, seconds)

    def _keep_membership_alive(self) -> None:
        """Serve rebalances while the scorer is busy. A record that comes with it waits."""
        if time.monotonic() - self._polled_at > KEEP_ALIVE_SECONDS:
            self._buffered += self._take(1, 0)

    def _wait_for_scores(self, seconds: float) -> None:
        if self._in_flight and self._in_flight[0].batch.scores is not None:
            wait([self._in_flight[0].batch.scores], timeout=seconds)

    def _publish_finished(self) -> None:
        while self._in_flight and self._in_flight[0].batch.is_done:
            finished = self._in_flight.popleft()
            rows = iter(self._path.finish(finished.batch))
            if not self._in_flight and self._recovery.is_careful():
                self._put_down()
            for item in finished.taken:
                row = next(rows) if item.record is not None else None
                if self._offsets.is_current(item.partition, item.epoch):
                    self._publish(item, row)
            if self._uncommitted.records >= self._most_records:
                self.commit()

    def _put_down(self) -> None:
        """What was in hand is scored. Were that said only with its outcomes, whoever ends because a
        broker does not take them would have died of the record."""
        if noted := self._recovery.put_down():
            self._commit(noted)

    def _publish(self, item: GroupRecord, row: RecordOutcomes | None) -> None:
        """All outcomes of one raw record into the open transaction."""
        if self._first_uncommitted_at is None:
            self._first_uncommitted_at = time.monotonic()
        outcomes: list[Outcome] = []
        if row is not None:
            position = RecordPosition(*item.partition, item.offset)
            outcomes = self._outbox.publish(row.record, position, row.outcomes)
            self._uncommitted.add(row.record, outcomes)
            if row.subject is not None:
                self._uncommitted.nulled_fields += len(row.subject.article.nulled)
                self._uncommitted.suspect.update(row.subject.suspect)
        else:
            self._uncommitted.tombstones += 1
        self._offsets.produce(item.partition, item.offset)
        if self._recovery.is_counting:
            is_killed = any(isinstance(outcome.error, KilledWorker) for outcome in outcomes)
            self._recovery.handled(item.partition, is_killed=is_killed)

    def _commit_if_due(self) -> None:
        if self._first_uncommitted_at is None and self._reports():
            self._first_uncommitted_at = time.monotonic()
        since = self._first_uncommitted_at
        if since is None:
            return
        is_old = time.monotonic() - since >= self._policy.commit_seconds
        if is_old or self._recovery.is_careful():
            self.commit()

    def commit(self) -> None:
        """What was published, with its offsets."""
        self._commit({})

    def _commit(self, noted: Mapping[Partition, int]) -> None:
        """With where partitions stand that have something to be noted there."""
        offsets, reports = self._offsets.to_commit(), self._reports()
        if noted and not (offsets or reports):
            self._delivery.note(noted)
        elif offsets or reports:
            offsets = {**noted, **offsets}
            for report in reports:
                self._delivery.publisher.produce(report.record)
            seconds = self._delivery.commit(offsets)
            self._outbox.committed()
            self._reported(reports)
            self._observer.committed(self._uncommitted, seconds)
            self._most_records = min(2 * self._most_records, self._policy.commit_records)
        self._uncommitted = TransactionCounts()
        self._first_uncommitted_at = None

    def _reports(self) -> list[Report]:
        """Of the canaries, while there is a group to fence them."""
        reports = self._canaries.reports() if self._canaries is not None else []
        return reports if reports and self._delivery.intake.group_metadata() is not None else []

    def _reported(self, reports: Sequence[Report]) -> None:
        for report in reports:
            self._observer.canaries(report.filter, report.difference, passed=report.passed)
        if self._canaries is not None:
            self._canaries.committed()

    def drain(self, guarded: Callable[[Callable[[], None]], None]) -> None:
        """Finish what is in flight, commit it, leave. What does not finish in time comes again."""
        deadline = Deadline(self._policy.drain_seconds)
        self._buffered = []
        while self._in_flight and not deadline.is_over:
            self._observer.heartbeat()
            self._wait_for_scores(WAIT_SECONDS)
            guarded(self._publish_finished)
            guarded(self._commit_if_due)
        abandoned = sum(len(item.taken) for item in self._in_flight)
        guarded(self.commit)
        self._observer.drained(abandoned)

    def settle(self, partitions: Sequence[Partition], seconds: float) -> None:
        """Finish what is nearly finished and commit it, if any of it is of these partitions."""
        leaving = set(partitions)
        concerned = leaving & self._offsets.to_commit().keys() or any(
            taken.partition in leaving for item in self._in_flight for taken in item.taken
        )
        deadline = Deadline(seconds)
        while concerned and self._in_flight and not deadline.is_over:
            self._wait_for_scores(deadline.seconds_left)
            self._publish_finished()
        noted = self._recovery.put_down(leaving)
        if concerned or noted:
            self._commit(noted)

    def forget(self) -> None:
        """Nothing uncommitted counts. It may have been too much at a time for a slow broker."""
        self._cancel_in_flight()
        self._outbox.rolled_back()
        self._recovery.rolled_back()
        self._uncommitted = TransactionCounts()
        self._first_uncommitted_at = None
        self._most_records = max(self._most_records // 2, 1)

    def release(self, partitions: Sequence[Partition] | None) -> None:
        """What is in flight of them is void by its epoch; of all, it need not even be finished."""
        if partitions is None:
            self._cancel_in_flight()

    def _cancel_in_flight(self) -> None:
        for item in self._in_flight:
            if item.batch.scores is not None:
                item.batch.scores.cancel()
        self._in_flight.clear()
        self._buffered = []
