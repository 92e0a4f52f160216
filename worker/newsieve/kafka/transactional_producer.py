"""Publishes one transaction after another, and decides what follows when one fails. Owner thread
only.

    begin lazily → produce … → send offsets → commit

Every failure ends in one of three ways: the transaction is aborted and the records come again
(Transient); nobody knows whether it was committed, so the producer was replaced and the broker must
be asked (OutcomeUnknown); or the process has to end (any Fatal).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NoReturn

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from newsieve.deadline import Deadline
from newsieve.errors import (
    BrokerLost,
    Fenced,
    OutcomeUnknown,
    TooManyRecreations,
    TopicsWrong,
    Transient,
)
from newsieve.kafka.call_timeout import CallTimedOut, RateLimit, TimedCaller
from newsieve.kafka.config import Partition
from newsieve.kafka.message_errors import PERMANENT, MessageError, message_error_of
from newsieve.kafka.record_size import require_fit
from newsieve.kafka.refusals import Refusals
from newsieve.kafka.retry import last_client_error
from newsieve.kafka.timeouts import TIMEOUTS, Timeouts
from newsieve.records.encode import OutRecord
from newsieve_schemas.topics import MAX_MESSAGE_BYTES

RECREATIONS_PER_MINUTE: Final = 5
NO_NOTES: Final[Mapping[Partition, str]] = MappingProxyType({})
PRODUCERS_CLOCK: Final = 0  # for a record without a timestamp of its own


class TransactionalProducer:
    """A transactional producer that is replaced whenever nobody knows what became of a
    transaction."""

    def __init__(
        self,
        make_producer: Callable[[Callable[[KafkaError | None, Message], None]], Producer],
        heartbeat: Callable[[], None],
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        timeouts: Timeouts = TIMEOUTS,
    ) -> None:
        """`make_producer` takes the delivery callback; `heartbeat` says the loop is alive;
        `max_message_bytes` is what the producer takes."""
        self._make_producer = make_producer
        self.max_message_bytes = max_message_bytes
        self._heartbeat = heartbeat
        self._timeouts = timeouts
        self._producer: Producer | None = None
        self._calls = TimedCaller(timeouts.grace_seconds)
        self._is_open = False
        self._recreations = RateLimit(RECREATIONS_PER_MINUTE)
        self._refusals = Refusals()

    def connect(self) -> None:
        """Become the one producer of the transactional id; what an earlier one left open is
        aborted.

        Raises Fenced, TopicsWrong, AccessDenied, or, at the latest after `connect_seconds`,
        BrokerLost.
        """
        self._producer = self._make_producer(self._refusals.on_delivery)
        deadline = Deadline(self._timeouts.connect_seconds)
        while True:
            try:
                self._calls.call(self._producer.init_transactions, self._timeouts.operation_seconds)
                return
            except CallTimedOut as hung:
                raise BrokerLost(f"the transaction coordinator: {hung}") from None
            except KafkaException as failure:
                error = failure.args[0]
                _require_patience(error)
                reason = last_client_error(self._producer) or error
                if deadline.is_over:
                    seconds = self._timeouts.connect_seconds
                    raise BrokerLost(f"no broker for {seconds:.0f} s: {reason}") from None
                self._heartbeat()

    def require_fit(self, records: list[OutRecord]) -> None:
        """Raise OutputTooLarge before any record of an outcome is produced."""
        require_fit(records, self.max_message_bytes)

    def produce(self, record: OutRecord) -> None:
        """Put a record into the open transaction, or into a new one. Raises Transient or
        OutcomeUnknown."""
        producer = self._open()
        topic, key, value, headers, timestamp_ms = record
        timing: dict[str, Any] = {}
        if timestamp_ms is not None:
            reporting = self._refusals.on_delivery_of(timestamp_ms)
            timing = {"timestamp": timestamp_ms, "on_delivery": reporting}
        while True:
            try:
                producer.produce(topic, value, key, headers=headers, **timing)
                return
            except BufferError:
                self._flush(producer)
            except KafkaException as failure:
                error = failure.args[0]
                if error.code() == KafkaError._STATE:  # noqa: SLF001 - its public name
                    error = self._why_it_failed() or error
                else:
                    self._refusals.note(error, topic)
                self._abort_because(error)

    def commit(
        self,
        offsets: Mapping[Partition, int],
        group_metadata: bytes,
        notes: Mapping[Partition, str] = NO_NOTES,
    ) -> None:
        """Commit the open transaction, or an empty one, with these offsets and the notes that go
        with them.

        Raises Transient, OutcomeUnknown or Fenced.
        """
        producer = self._open()
        positions = [
            TopicPartition(*partition, offset, notes.get(partition, ""))
            for partition, offset in offsets.items()
        ]
        failed = self._call(
            lambda t: producer.send_offsets_to_transaction(positions, group_metadata, t)
        )
        if failed is not None and failed.code() == KafkaError._TIMED_OUT:  # noqa: SLF001 - as above
            # After a broker's stall a producer can lose its coordinator for good.
            self._replace(f"send offsets: {failed}")
        if failed is not None:
            self._abort_because(failed)
        self._heartbeat()
        self.commit_records()

    def commit_records(self) -> None:
        """Commit the open transaction without offsets of a group. Raises as `commit`."""
        producer = self._open()
        self._flush(producer)
        failed = self._call(producer.commit_transaction)
        if failed is None:
            self._is_open = False
            self._refusals.forget()
        elif failed.txn_requires_abort():
            self._abort_because(failed)
        else:
            self._replace(
                f"commit: {failed}", passes=message_error_of(failed) is not MessageError.UNKNOWN
            )

    def _flush(self, producer: Producer) -> None:
        """Wait until the broker has all records, as long as it takes some. A commit waits, too, but
        less patiently, and what becomes of it is then unknown."""
        limits = self._timeouts
        started_at = moved_at = time.monotonic()
        least = len(producer)
        while left := len(producer):
            self._heartbeat()
            now = time.monotonic()
            if left < least:
                least, moved_at = left, now
            if now - started_at > limits.flush_seconds or now - moved_at > limits.operation_seconds:
                self._replace(f"{left} records are not taken in {now - started_at:.0f} s")
            self._call(lambda _: producer.flush(limits.flush_step_seconds))

    def abort(self) -> None:
        """Abort the open transaction, if any. Raises OutcomeUnknown or Fenced."""
        if not self._is_open or self._producer is None:
            return
        # A plain abort purges what is queued and leaves a hole in the sequence numbers, on
        # which the next transaction fails: flush first.
        failed = self._call(self._producer.flush)
        if failed is not None or len(self._producer):
            self._replace(f"flush before abort: {failed or 'messages are left'}")
        self._heartbeat()
        failed = self._call(self._producer.abort_transaction)
        if failed is not None:
            self._replace(f"abort: {failed}")
        self._is_open = False
        self._refusals.raise_if_any()

    def leave(self) -> None:
        """End what is open on the way out, so that readers need not wait for its time-out."""
        if self._is_open and self._producer is not None:
            with contextlib.suppress(KafkaException, SystemError, CallTimedOut):
                self._calls.call(self._producer.abort_transaction, self._timeouts.leave_seconds)
            self._is_open = False

    def _open(self) -> Producer:
        if self._producer is None:
            raise RuntimeError("connect first")
        if not self._is_open:
            failed = self._call(self._begin)
            if failed is not None:
                self._replace(f"begin: {failed}")
            self._is_open = True
        return self._producer

    def _begin(self, _: float) -> None:
        if self._producer is not None:
            self._producer.begin_transaction()

    def _call(self, operation: Callable[[float], object]) -> KafkaError | None:
        """Run one call of the transaction API until its time is up. Returns None, or the error that
        it failed with.

        Raises Fenced.
        """
        deadline = Deadline(self._timeouts.operation_seconds)
        is_lost = False  # the error that the last attempt failed with
        while True:
            try:
                self._calls.call(operation, max(deadline.seconds_left, 0.1))
                return None
            except CallTimedOut as hung:
                self._replace(str(hung))
            except (KafkaException, SystemError) as failure:
                known = _error(failure)
                if known is None and not is_lost:
                    is_lost = True  # the producer still has it, and says it when it is asked again
                    continue
                if known is None:
                    raise
                error = known
                if message_error_of(error) is MessageError.FENCED:
                    raise Fenced(
                        "another worker uses this slot's transactional id, or this one was away "
                        "for longer than a transaction may last"
                    ) from None
                self._refusals.note(error)
                passing = error.retriable() and not error.txn_requires_abort()
                if not passing or deadline.is_over:
                    return error
                self._heartbeat()

    def _why_it_failed(self) -> KafkaError | None:
        """The error that failed in the background, where a call says no more than that something
        has.

        A transaction that is open cannot begin; the refusal says why the open one is lost.
        """
        return self._call(self._begin)

    def _abort_because(self, error: KafkaError) -> NoReturn:
        self._refusals.note(error)
        self.abort()
        raise Transient(str(error), passes=message_error_of(error) is not MessageError.UNKNOWN)

    def _replace(self, reason: str, *, passes: bool = True) -> NoReturn:
        """Replace the producer and raise OutcomeUnknown: a late answer to its call must not reach a
        later transaction. Raises TooManyRecreations where that happens too often."""
        if not self._recreations.try_acquire():
            raise TooManyRecreations(
                f"the producer was replaced {self._recreations.times} times within a minute; "
                f"last: {reason}"
            )
        producer = self._producer
        if producer is not None:
            with contextlib.suppress(CallTimedOut):
                self._calls.call(lambda _: producer.purge(), self._timeouts.leave_seconds)
        self._producer, self._is_open = None, False
        self.connect()
        self._refusals.raise_if_any()
        raise OutcomeUnknown(reason, passes=passes)


def _require_patience(error: KafkaError) -> None:
    """Raise the error if it ends the attempts to take a transactional id over."""
    fault = message_error_of(error)
    if fault in PERMANENT:
        raise TopicsWrong(f"the broker refuses the transactional id: {error}")
    if fault is MessageError.FENCED:
        raise Fenced(f"cannot take the transactional id over: {error}")
    if not error.retriable():
        raise BrokerLost(f"cannot begin transactions: {error}")


def _error(failure: KafkaException | SystemError) -> KafkaError | None:
    """The Kafka error inside an exception; None where the client lost it. A fatal one that
    librdkafka reports while it also calls our delivery callback surfaces as a SystemError, caused
    by the exception that says what it is, or by nothing."""
    known = failure if isinstance(failure, KafkaException) else failure.__cause__
    return known.args[0] if isinstance(known, KafkaException) else None
