"""Sends the records of files to the raw topic, in transactions that also say how far files are
sent.

Whatever ends a run, the same run goes on where the last transaction did: nothing is lost, and
nothing comes twice. When all files are sent, what is known of them is forgotten, so that the next
run sends them again. This module knows no format of files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Final, NamedTuple, Protocol

from newsieve.errors import (
    Fatal,
    InputFileInvalid,
    OutcomeUnknown,
    RecordError,
    Transient,
    Unavailable,
)
from newsieve.file_readers.content_kind import shown_name
from newsieve.file_readers.file_record import FileRecord
from newsieve.file_readers.input_file import InputFile
from newsieve.file_readers.reading import ReadingPolicy
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.programs.ingest.file_opening import FileToSend, records_of
from newsieve.programs.ingest.file_progress import Progress, state_value
from newsieve.records.encode import OutRecord
from newsieve_schemas.ingest import FileState

TRANSACTION_RECORDS: Final = 20_000
TRANSACTION_BYTES: Final = 32 * 1024 * 1024
TRANSACTION_SECONDS: Final = 1.0  # the broker ends it after 30
TRIES: Final = 8  # of one transaction, in half a minute or more
FIRST_PAUSE_SECONDS: Final = 0.2  # between tries; doubled each time


class SendingObserver(Protocol):
    """Is told what happens, for a person."""

    def reading(self, file: InputFile) -> AbstractContextManager[Callable[[int], None]]:
        """Return what is told how many more bytes of a file were read, while it is read."""
        ...

    def file_resumed(self, file: InputFile, state: FileState) -> None:
        """Say that a file is sent from where an earlier run ended."""
        ...

    def record_rejected(self, file: InputFile, place: str, problem: str) -> None:
        """Say that a record is not sent, and why."""
        ...


class Destination(NamedTuple):
    """Where records and states go, and how states are read back: the latest values of keys, once
    all transactions are decided."""

    raw_topic: str
    state_topic: str
    read_states: Callable[[Collection[bytes]], Mapping[bytes, bytes]]


class _Dealt(NamedTuple):
    """A record of a file that is dealt with: what is sent for it, and how far the file of this key
    is read with it."""

    record: OutRecord | None
    key: bytes
    progress: Progress


class FileSender:
    """Sends files one after another. Owner thread only."""

    def __init__(
        self,
        producer: TransactionalProducer,
        destination: Destination,
        key_of: Callable[[bytes], bytes],
        observer: SendingObserver,
        now: Callable[[], str],
    ) -> None:
        """`key_of` gives the key of a raw record, and raises RecordError for one that is no
        article; `now` is the time in ISO 8601."""
        self.sent = 0  # committed
        self.rejected = self.passed_over = 0
        self.stopped_at: tuple[InputFile, str] | None = None  # the file and place that are read
        self._producer = producer
        self._destination = destination
        self._key_of = key_of
        self._observer = observer
        self._now = now
        self._batch: list[_Dealt] = []
        self._batch_bytes = 0
        self._began_at = 0.0
        self._is_produced = True  # the batch, into a transaction that is still open
        self._is_committing = False

    def send(
        self, files: Sequence[FileToSend], known: Mapping[bytes, FileState], policy: ReadingPolicy
    ) -> None:
        """Send files, each from where its known state says. What was read is sent, however it ends.

        Raises Unavailable when the broker stays unwell, what the producer raises, InputFileInvalid
        and KeyboardInterrupt.
        """
        try:
            for item in files:
                self._send_file(item, known.get(item.keyed.key), policy)
            self._commit()
        except (InputFileInvalid, KeyboardInterrupt):
            if not self._is_committing:  # else nobody knows what became of it
                with suppress(Unavailable, Fatal):
                    self._commit_anew()
            raise
        finally:
            self._producer.leave()

    def forget(self, keys: Collection[bytes]) -> None:
        """Remove the states of files that are sent, so that they can be sent again. Raises as
        `send`."""
        topic = self._destination.state_topic
        self._transact([OutRecord(topic, key, None, []) for key in keys], {}, is_produced=False)

    def _send_file(self, item: FileToSend, state: FileState | None, policy: ReadingPolicy) -> None:
        file, key, _ = item.keyed
        if state is not None:
            self._observer.file_resumed(file, state)
            self.rejected += state.rejected
        progress = Progress.of(item.keyed, state)
        with item.opened() as source, self._observer.reading(file) as advance:
            shown = 0
            records = records_of(file, source, policy, progress.records)
            source.before_read = self._before_read
            for record in _readable(file, records):
                if (position := source.tell()) != shown:
                    advance(position - shown)
                    shown = position
                self.stopped_at = (file, record.place)
                outgoing, problem = self._outgoing(record)
                if problem is not None:
                    self.rejected += 1
                    self._observer.record_rejected(file, record.place, problem)
                progress = progress.behind_another(is_rejected=problem is not None)
                self._add(_Dealt(outgoing, key, progress))

    def _outgoing(self, record: FileRecord) -> tuple[OutRecord | None, str | None]:
        """Return what is sent for a record, and why nothing is for one that is bad."""
        value = record.value
        if value is None:
            self.passed_over += record.problem is None
            return None, record.problem
        try:
            key = self._key_of(value)
        except RecordError as error:
            if not record.as_is:
                return None, str(error)
            key = None
        outgoing = OutRecord(self._destination.raw_topic, key, value, [])
        try:
            self._producer.require_fit([outgoing])
        except RecordError as error:
            return None, str(error)
        return outgoing, None

    def _add(self, dealt: _Dealt) -> None:
        """Put a record into the batch, and commit that when it is full."""
        if not self._batch:
            self._began_at = time.monotonic()
        self._batch.append(dealt)  # an interruption finds it and its progress here, or neither
        record = dealt.record
        if record is not None:
            self._batch_bytes += len(record.value or b"")
            if self._is_produced:
                try:
                    self._producer.produce(record)
                except (Transient, OutcomeUnknown):  # nothing was to be committed
                    self._is_produced = False
        if self._is_full():
            self._commit()

    def _is_full(self) -> bool:
        return (
            len(self._batch) >= TRANSACTION_RECORDS
            or self._batch_bytes >= TRANSACTION_BYTES
            or time.monotonic() - self._began_at >= TRANSACTION_SECONDS
        )

    def _before_read(self, waits: bool) -> None:  # noqa: FBT001 - as sources call it
        """Commit what was read, where the next read may take long, or the transaction is old."""
        if self._batch and (waits or self._is_full()):
            self._commit()

    def _commit_anew(self) -> None:
        """Commit the batch where nobody knows how much of it is in the open transaction."""
        self._is_produced = False
        with suppress(Transient, OutcomeUnknown):  # it is not committed in any case
            self._producer.abort()
        self._commit()

    def _commit(self) -> None:
        """Commit the batch with the states of its files."""
        if not self._batch:
            return
        self._is_committing = True
        now = self._now()
        behind = {dealt.key: dealt.progress for dealt in self._batch}
        states = {key: state_value(progress, now) for key, progress in behind.items()}
        records = [dealt.record for dealt in self._batch if dealt.record is not None]
        self._transact(records, states, is_produced=self._is_produced)
        self.sent += len(records)
        self._batch = []
        self._batch_bytes, self._is_produced = 0, True
        self._is_committing = False

    def _transact(
        self, records: Sequence[OutRecord], states: Mapping[bytes, bytes], *, is_produced: bool
    ) -> None:
        """Commit records, which may be produced already, and states in one transaction."""
        topic = self._destination.state_topic
        for attempt in range(1, TRIES + 1):
            try:
                if not is_produced:
                    for record in records:
                        self._producer.produce(record)
                for key, value in states.items():
                    self._producer.produce(OutRecord(topic, key, value, []))
                self._producer.commit_records()
                break
            except (Transient, OutcomeUnknown) as failure:
                is_unknown = isinstance(failure, OutcomeUnknown)
                if is_unknown and self._are_on_record(states):
                    break
                if attempt == TRIES:
                    raise
            is_produced = False
            time.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))

    def _are_on_record(self, states: Mapping[bytes, bytes]) -> bool:
        """Whether the transaction with these states was committed. Raises BrokerUnavailable."""
        found = self._destination.read_states(states.keys())
        return bool(states) and all(found.get(key) == value for key, value in states.items())


def _readable(file: InputFile, records: Iterator[FileRecord]) -> Iterator[FileRecord]:
    """Yield the records; a failure of the disk ends the run. Raises InputFileInvalid."""
    try:
        yield from records
    except OSError as error:
        raise InputFileInvalid(
            f"cannot read {shown_name(file.name)}: {error.strerror or error}"
        ) from None
