"""Runs a processor under Kafka transactions: what was consumed is published with its offset, or
comes again.

It holds a consumer and a producer together: steps of the processor run guarded, failures take back
what is not committed, partitions are given up in order. One thread owns it all. It does not know
what the processor does with records, nor when it commits.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from newsieve.errors import (
    AccessDenied,
    DeadLetterLimit,
    Fatal,
    GroupOccupied,
    NeedsPerson,
    NoProgress,
    OutcomeUnknown,
    TimestampRefused,
    TooManyRecreations,
    TopicsWrong,
    Transient,
    Unavailable,
)
from newsieve.kafka.config import Partition
from newsieve.kafka.group_consumer import GroupConsumer
from newsieve.kafka.messages import GroupRecord
from newsieve.kafka.timeouts import TIMEOUTS, Timeouts
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.stream.crash_recovery import CrashRecovery
from newsieve.stream.progress import Ends, Progress
from newsieve.stream.transaction_counts import AbortFault

SUSPICIOUS_FAILURES: Final = 2  # in a row; after more, ask whether the topics are still there
# A broker's or a group's, which no record is to blame for.
PERMANENT: Final = (TopicsWrong, TimestampRefused, AccessDenied, GroupOccupied, NoProgress)


class Processor(Protocol):
    """A program's own part of the loop. All methods are called by the owner's thread."""

    def step(self) -> None:
        """Poll some records, publish what is finished, commit when due. Raises Unavailable or
        Fatal."""
        ...

    def commit(self) -> None:
        """Commit what is published. Raises as `step`."""
        ...

    def drain(self, guarded: Callable[[Callable[[], None]], None]) -> None:
        """Finish what is under way and commit it, within the processor's own time."""
        ...

    def on_partitions_revoked(self, partitions: Sequence[Partition], seconds: float) -> None:
        """Finish, publish and commit what can be, before these partitions are given up. Raises as
        `step`."""
        ...

    def on_abort(self) -> None:
        """Discard uncommitted state after an abort; the records will come again."""
        ...

    def on_partitions_lost(self, partitions: Sequence[Partition] | None) -> None:
        """Drop the state of these partitions, or of all, which have been revoked or lost. Must not
        raise."""
        ...


class FailureObserver(Protocol):
    """The part of an observer that is told of failures."""

    def heartbeat(self) -> None:
        """The loop is alive and well."""
        ...

    def aborted(self, reason: str, fault: AbortFault) -> None:
        """A transaction was aborted; its records come again, unless the fault is permanent."""
        ...


class ExactlyOnceRunner:
    """Runs one processor: listens to rebalances and guards every step."""

    def __init__(
        self,
        consumer: GroupConsumer,
        producer: TransactionalProducer,
        observer: FailureObserver,
        recovery: CrashRecovery | None = None,
        timeouts: Timeouts = TIMEOUTS,
    ) -> None:
        """`recovery` gives the notes to commit with offsets, for a successor."""
        self.consumer = consumer
        self.producer = producer
        self._observer = observer
        self._recovery = recovery
        self._timeouts = timeouts
        self._must_rewind: Unavailable | None = None
        self._failure: Fatal | None = None
        self._is_leaving = False
        self._failures_in_a_row = 0
        self._progress = Progress(consumer.offsets, timeouts)
        self._processor: Processor

    def run(self, processor: Processor, should_stop: Callable[[], bool]) -> None:
        """Run the processor until told to stop, then drain it. The producer is connected before.

        Raises Fatal when the process has to end.
        """
        self._processor = processor
        self.consumer.subscribe(self)
        try:
            while not should_stop():
                self._observer.heartbeat()
                self._guarded(processor.step)
            processor.drain(self._guarded)
            self._note_clean_end()
        except NeedsPerson as failure:
            if isinstance(failure, DeadLetterLimit):
                self._guarded(processor.commit)  # up to the record that stops us
            elif isinstance(failure, PERMANENT):
                self._observer.aborted(str(failure), "permanent")
            self._note_clean_end()
            raise
        finally:
            self._is_leaving = True  # what is not committed by now comes again, elsewhere
            processor.on_partitions_lost(None)
            self.producer.leave()
            self.consumer.close()

    def poll(self, count: int, seconds: float) -> list[GroupRecord]:
        """Poll up to so many records. Raises the failure of a rebalance that came with them."""
        taken = self.consumer.poll(count, seconds)
        if self._failure is not None:
            raise self._failure
        if self._must_rewind is not None:
            failure, self._must_rewind = self._must_rewind, None
            raise failure
        return taken

    def commit(self, offsets: Mapping[Partition, int]) -> float:
        """Commit what was published with these offsets; return the seconds it took.

        Raises Transient, OutcomeUnknown or Fenced.
        """
        started = time.monotonic()
        self._commit(offsets, offsets)
        self._progress.committed(offsets)
        self.consumer.offsets.committed()
        self._failures_in_a_row = 0
        return time.monotonic() - started

    def note(self, offsets: Mapping[Partition, int]) -> None:
        """Commit the notes that go with these offsets, which is no progress. Raises as `commit`."""
        self._commit(offsets, dict.fromkeys(offsets))

    def _commit(self, offsets: Mapping[Partition, int], ends: Ends) -> None:
        self._progress.attempt(ends)
        metadata = self.consumer.group_metadata()
        if metadata is None:  # Kafka would accept the commit, unfenced
            self.producer.abort()
            raise Transient("no longer a member of the group")
        notes = self._recovery.notes(offsets) if self._recovery else {}
        self.producer.commit(offsets, metadata, notes)
        if self._recovery:
            self._recovery.committed(notes)
        self._progress.attempt({})

    def _note_clean_end(self) -> None:
        """Note that no record in flight is to blame for this end. A successor that cannot be told
        is more careful than it need be."""
        with contextlib.suppress(Unavailable, Fatal):
            if self._recovery and self._recovery.clear_in_flight():
                self.producer.abort()
                self.note(self._recovery.committed_offsets())  # ours may be of before the last try

    def before_revoke(self, partitions: Sequence[Partition]) -> None:
        """Let the processor finish what is nearly finished and commit it, then drop the partitions.
        Runs inside `poll`.

        Once a commit has failed nothing more is committed before the rewind: the transaction is
        gone, and offsets without their records would lose them.
        """
        if not self._is_leaving and self._must_rewind is None and self._failure is None:
            try:
                self._processor.on_partitions_revoked(partitions, self._timeouts.revoke_seconds)
            except Unavailable as failure:
                self._rewind_later(failure)
            except Fatal as failure:
                self._failure = failure
                self._abort()  # the leaving partitions' offsets are about to be forgotten
        self._processor.on_partitions_lost(partitions)

    def after_loss(self) -> None:
        """Abort what is uncommitted: the group has gone on without us."""
        self._rewind_later(Transient("partitions were lost"))
        self._abort()
        self._processor.on_partitions_lost(None)

    def _guarded(self, step: Callable[[], None]) -> None:
        """Run a step. Where it fails and may be tried again, take back what is not committed."""
        try:
            with _aborting(self.producer):
                step()
        except Unavailable as failure:
            self._require_another_try(failure)
            self._back_off()
            self._processor.on_abort()
            # Holds at once: offsets of a transaction that is gone must not get into the next one.
            self.consumer.offsets.rewind()
            self._progress.attempt({})
            try:
                self._go_back(failure)
            except Unavailable:  # the broker is silent: nothing is done before it has been asked
                failure.passes = True  # counted already: what comes again is the silence
                self._rewind_later(failure)
        except TooManyRecreations as failure:
            self._progress.require_new_reason(str(failure))
            raise

    def _go_back(self, failure: Unavailable) -> None:
        """Seek the first record whose outcome is not committed, as far as that is known."""
        if isinstance(failure, OutcomeUnknown):
            self.consumer.rewind_to_committed()
            return
        if self._failures_in_a_row > SUSPICIOUS_FAILURES:
            self.consumer.require_topics()
        self.consumer.rewind()

    def _rewind_later(self, failure: Unavailable) -> None:
        """Rewind with the next poll. A commit of unknown outcome is not forgotten for another
        failure: nothing else makes its outcome known."""
        if not isinstance(self._must_rewind, OutcomeUnknown):
            self._must_rewind = failure

    def _require_another_try(self, failure: Unavailable) -> None:
        """Report the failure. Raises NoProgress once an unlisted failure has come too often to be
        passing."""
        is_unknown = isinstance(failure, OutcomeUnknown)
        reason = f"outcome unknown: {failure}" if is_unknown else str(failure)
        self._observer.aborted(reason, "passing" if failure.passes else "unknown")
        self._progress.failed(failure)

    def _back_off(self) -> None:
        """Wait before the next try: not at the first failure, then longer and longer."""
        if self._failures_in_a_row:
            seconds = self._timeouts.backoff_seconds * 2**self._failures_in_a_row
            time.sleep(min(seconds, self._timeouts.max_backoff_seconds))
        self._failures_in_a_row += 1

    def _abort(self) -> None:
        """Abort the transaction inside a rebalance, where nothing may be raised. Seeking back waits
        until the rebalance is over; that nothing uncommitted counts holds from now on."""
        self._processor.on_abort()
        self.consumer.offsets.rewind()
        try:
            self.producer.abort()
        except OutcomeUnknown as failure:
            self._must_rewind = failure
        except Fatal as failure:
            self._failure = self._failure or failure


@contextlib.contextmanager
def _aborting(producer: TransactionalProducer) -> Iterator[None]:
    """Abort the open transaction where the block raises Unavailable: what was in it comes again."""
    try:
        yield
    except Unavailable:
        producer.abort()
        raise
