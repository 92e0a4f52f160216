"""START READING HERE. The loop of the program that scores the stream of articles.

    poll → decode → rules → batch → score → tier → publish → commit

One thread makes every Kafka call. Micro-batches are scored beside it and published in the order in
which they were polled, so that a record's outcomes, its offset and all that came before it on its
partition are in one transaction. Work that a rebalance or an abort made void is recognized by its
epoch and dropped. Whatever fails, `stream.exactly_once` takes back what is not committed, and the
same records come again; where a failure ended a process, `stream.crash_recovery` says which records
may be in flight together. What each step does inside stands in `path`, `kafka.group_consumer` and
`kafka.transactional_producer`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from newsieve.deadline import Deadline
from newsieve.errors import KilledWorker
from newsieve.kafka.config import Partition
from newsieve.kafka.messages import GroupRecord
from newsieve.programs.scoring.canaries import Canaries, Report
from newsieve.programs.scoring.events import ScoringObserver
from newsieve.programs.scoring.in_flight import InFlight
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
    """How the worker batches and commits. Sizes are in records, times in seconds."""

    batch_articles: int
    batches_in_flight: int
    commit_seconds: float
    commit_records: int
    drain_seconds: float

    @property
    def most_in_flight(self) -> int:
        """How many records can be without a committed outcome: those of a commit, which grows by up
        to a whole micro-batch, those being scored, and those that wait for the scorer."""
        return self.commit_records + (self.batches_in_flight + 2) * self.batch_articles


class ScoringLoop:
    """The processor that scores records, with what it holds between two steps."""

    # More than 15 methods: seven are the protocol of `ExactlyOnceRunner`, and the others are the
    # parts of its `step` and `commit`, in the order in which they run.

    def __init__(
        self,
        path: ScoringPath,
        runner: ExactlyOnceRunner,
        publisher: OutcomePublisher,
        batching: BatchingConfig,
        observer: ScoringObserver,
        recovery: CrashRecovery,
        canaries: Canaries | None = None,
    ) -> None:
        self._path = path
        self._recovery = recovery
        self._runner = runner
        self._offsets = runner.consumer.offsets
        self._publisher = publisher
        self._batching = batching
        self._observer = observer
        self._canaries = canaries
        self._in_flight = InFlight[list[GroupRecord]](path)  # with the records they came from
        self._buffered: list[GroupRecord] = []  # polled while the scorer was busy
        self._uncommitted = TransactionCounts()
        self._first_uncommitted_at: float | None = None
        self._polled_at = 0.0
        self._most_records = batching.commit_records  # fewer while a broker takes them slowly

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Work until told to stop, then drain. Raises Fatal when the process has to end."""
        self._runner.run(self, should_stop)

    def step(self) -> None:
        """Submit or await a micro-batch, publish what is finished, and commit when that is due.
        Raises Unavailable or Fatal, as all methods below do."""
        most = 1 if self._recovery.is_careful() else self._batching.batches_in_flight
        if len(self._in_flight) < most:
            self._poll_and_submit()
        else:
            self._in_flight.wait(WAIT_SECONDS)
            self._keep_membership_alive()
        self._publish_finished()
        self._commit_if_due()

    def _poll_and_submit(self) -> None:
        """Send one micro-batch of whatever has come to the scorer."""
        is_open = self._first_uncommitted_at is not None
        is_idle = not (self._in_flight or self._buffered or is_open)
        room = self._batching.batch_articles - len(self._buffered)
        consumed = self._buffered
        self._buffered = []
        if room > 0:
            consumed += self._poll(
                room if not is_idle else 1, IDLE_SECONDS if is_idle else LINGER_SECONDS
            )
        if is_idle and consumed and room > 1:
            consumed += self._poll(room - 1, LINGER_SECONDS)
        if consumed and not self._recovery.allows(consumed):
            consumed = self._admit(consumed)
        if consumed:
            self._in_flight.append(self._begin(consumed), consumed)

    def _admit(self, consumed: list[GroupRecord]) -> list[GroupRecord]:
        """Return the records that may be begun now, after committing that they are in flight. The
        others wait in the buffer."""
        current = [
            item for item in consumed if self._offsets.is_current(item.partition, item.epoch)
        ]
        self._recovery.learn({item.partition for item in current})
        if self._recovery.is_careful() and self._in_flight:
            self._buffered = current
            return []
        begun, waiting = self._recovery.select(current)
        is_scored = self._recovery.blame(begun) is None
        if unsaid := self._recovery.cover(begun, is_scored=is_scored):
            self._commit(unsaid)
        self._buffered = waiting
        return begun

    def _begin(self, consumed: list[GroupRecord]) -> MicroBatch:
        records = [item.record for item in consumed if item.record is not None]
        error = self._recovery.blame(consumed)
        if error is not None and records:
            return self._path.refuse(records[0], error)
        return self._path.start(records)

    def _poll(self, count: int, seconds: float) -> list[GroupRecord]:
        self._polled_at = time.monotonic()
        return self._runner.poll(count, seconds)

    def _keep_membership_alive(self) -> None:
        """Serve rebalances while the scorer is busy. A record that comes with one is buffered."""
        if time.monotonic() - self._polled_at > KEEP_ALIVE_SECONDS:
            self._buffered += self._poll(1, 0)

    def _publish_finished(self) -> None:
        while self._in_flight.is_oldest_done:
            consumed, outcomes = self._in_flight.finish_oldest()
            rows = iter(outcomes)  # a tombstone has none
            if not self._in_flight and self._recovery.is_careful():
                self._note_nothing_in_flight()
            for item in consumed:
                row = next(rows) if item.record is not None else None
                if self._offsets.is_current(item.partition, item.epoch):
                    self._publish(item, row)
            if self._uncommitted.records >= self._most_records:
                self.commit()

    def _note_nothing_in_flight(self) -> None:
        """Commit that what was in flight is scored. Were that said only with its outcomes, a worker
        that ends because a broker does not take them would have died of the record."""
        if unsaid := self._recovery.clear_in_flight():
            self._commit(unsaid)

    def _publish(self, item: GroupRecord, row: RecordOutcomes | None) -> None:
        """Put all outcomes of one raw record into the open transaction."""
        if self._first_uncommitted_at is None:
            self._first_uncommitted_at = time.monotonic()
        outcomes: list[Outcome] = []
        if row is not None and not row.is_deletion:
            position = RecordPosition(*item.partition, item.offset)
            outcomes = self._publisher.publish(row.record, position, row.outcomes)
            self._uncommitted.add(row.record, outcomes)
            if row.encoded is not None:
                self._uncommitted.add_article(row.encoded.article)
                self._uncommitted.suspect.update(row.encoded.suspect)
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
        is_old = time.monotonic() - since >= self._batching.commit_seconds
        if is_old or self._recovery.is_careful():
            self.commit()

    def commit(self) -> None:
        """Commit what was published, with its offsets."""
        self._commit({})

    def _commit(self, unsaid: Mapping[Partition, int]) -> None:
        """Commit what was published, and the offsets of partitions whose crash note is unsaid."""
        offsets, reports = self._offsets.to_commit(), self._reports()
        if unsaid and not (offsets or reports):
            self._runner.note(unsaid)
        elif offsets or reports:
            offsets = {**unsaid, **offsets}
            for report in reports:
                self._runner.producer.produce(report.record)
            seconds = self._runner.commit(offsets)
            self._publisher.committed()
            self._reported(reports)
            self._observer.committed(self._uncommitted, seconds)
            self._most_records = min(2 * self._most_records, self._batching.commit_records)
        self._uncommitted = TransactionCounts()
        self._first_uncommitted_at = None

    def _reports(self) -> list[Report]:
        """The canaries' reports, while there is a group to fence them."""
        reports = self._canaries.reports() if self._canaries is not None else []
        return reports if reports and self._runner.consumer.group_metadata() is not None else []

    def _reported(self, reports: Sequence[Report]) -> None:
        for report in reports:
            self._observer.canaries(report.filter, report.difference, passed=report.passed)
        if self._canaries is not None:
            self._canaries.committed()

    def drain(self, guarded: Callable[[Callable[[], None]], None]) -> None:
        """Finish what is in flight, and commit it. What does not finish in time comes again."""
        deadline = Deadline(self._batching.drain_seconds)
        self._buffered = []
        while self._in_flight and not deadline.is_over:
            self._observer.heartbeat()
            self._in_flight.wait(WAIT_SECONDS)
            guarded(self._publish_finished)
            guarded(self._commit_if_due)
        abandoned = sum(map(len, self._in_flight.origins))
        guarded(self.commit)
        self._observer.drained(abandoned)

    def on_partitions_revoked(self, partitions: Sequence[Partition], seconds: float) -> None:
        """Finish what is nearly finished and commit it, if any of it is of these partitions."""
        leaving = set(partitions)
        concerned = leaving & self._offsets.to_commit().keys() or any(
            item.partition in leaving for consumed in self._in_flight.origins for item in consumed
        )
        deadline = Deadline(seconds)
        while concerned and self._in_flight and not deadline.is_over:
            self._in_flight.wait(deadline.seconds_left)
            self._publish_finished()
        unsaid = self._recovery.clear_in_flight(leaving)
        if concerned or unsaid:
            self._commit(unsaid)

    def on_abort(self) -> None:
        """Discard all that is not committed. The next transactions hold fewer records: this one may
        have been too large for a slow broker."""
        self._cancel_in_flight()
        self._publisher.rolled_back()
        self._recovery.rolled_back()
        self._uncommitted = TransactionCounts()
        self._first_uncommitted_at = None
        self._most_records = max(self._most_records // 2, 1)

    def on_partitions_lost(self, partitions: Sequence[Partition] | None) -> None:
        """Cancel what is in flight if all partitions are gone. What is in flight of some is void by
        its epoch."""
        if partitions is None:
            self._cancel_in_flight()

    def _cancel_in_flight(self) -> None:
        self._in_flight.cancel()
        self._buffered = []
