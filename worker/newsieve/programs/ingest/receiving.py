"""`newsieve ingest http`: publishes what requests bring, all of a request in one transaction.

    submit → wait for others while a transaction is under way → produce all → commit → tell each

Requests that come while a transaction is committed share the next one. It knows neither HTTP nor
what an article is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, Protocol

from newsieve.errors import OutcomeUnknown, Transient, Unavailable
from newsieve.records.encode import OutRecord
from newsieve.stream.transaction_counts import AbortFault

TRANSACTION_RECORDS: Final = 5_000
TRANSACTION_BYTES: Final = 16 * 1024 * 1024
LOOK_SECONDS: Final = 0.25  # between looks whether to stop, and heartbeats, while nothing comes
AWAY_SECONDS: Final = 5.0  # several times what the slowest broker takes for a transaction
PAUSE_SECONDS: Final = 0.1  # after an abort; doubled from then on
MAX_PAUSE_SECONDS: Final = 2.0

Monotonic = Callable[[], float]


class RecordProducer(Protocol):
    """Publishes records in transactions, as TransactionalProducer does."""

    def produce(self, record: OutRecord) -> None:
        """Put a record into the open transaction, or into a new one. Raises as `commit_records`."""
        ...

    def commit_records(self) -> None:
        """Commit the open transaction. Raises Transient, OutcomeUnknown or Fatal."""
        ...

    def leave(self) -> None:
        """End what is open on the way out."""
        ...


class ReceivingObserver(Protocol):
    """Learns what becomes of transactions."""

    def heartbeat(self) -> None:
        """Learn that the loop is alive."""
        ...

    def committed(self, requests: int, articles: int, seconds: float) -> None:
        """Learn of a committed transaction, and how long it took."""
        ...

    def aborted(self, reason: str, fault: AbortFault) -> None:
        """Learn of an aborted transaction."""
        ...

    def outcome_unknown(self, requests: int, articles: int, reason: str) -> None:
        """Learn of a transaction of which nobody knows whether it was committed."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Submission:
    """The records of one request. `committed` has a result when they are committed; it raises
    Transient or Unavailable when nothing of them is, OutcomeUnknown when nobody knows. Cancelling
    it withdraws records that no transaction has begun to publish."""

    records: Sequence[OutRecord]
    deadline: float
    committed: Future[None] = field(default_factory=Future)

    @property
    def size(self) -> int:
        """The bytes of all values."""
        return sum(len(record.value or b"") for record in self.records)


class ReceivingLoop:
    """Publishes submissions from one thread, which may be handed in by any other."""

    def __init__(
        self,
        producer: RecordProducer,
        observer: ReceivingObserver,
        clock: Monotonic = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
        away_seconds: float = AWAY_SECONDS,
    ) -> None:
        """`producer` is connected already. A transaction that takes `away_seconds` says that the
        broker is away."""
        self._producer = producer
        self._observer = observer
        self._clock = clock
        self._pause = pause
        self._away_seconds = away_seconds
        self._pending: dict[Submission, None] = {}  # in the order in which they came
        self._changed = threading.Condition()
        self._is_closed = False
        self._began_at: float | None = None  # to publish what is under way, repetitions included

    @property
    def is_closed(self) -> bool:
        """Whether nothing is taken any more."""
        return self._is_closed

    @property
    def is_available(self) -> bool:
        """Whether the broker was there when it was needed last."""
        began_at = self._began_at
        return began_at is None or self._clock() - began_at < self._away_seconds

    def submit(self, records: Sequence[OutRecord], seconds: float) -> Future[None]:
        """Hand in the records of a request, which is given up after so many seconds; called by any
        thread. Returns what `Submission` calls `committed`. Raises Unavailable when it stops."""
        submission = Submission(records, self._clock() + seconds)
        with self._changed:
            if self._is_closed:
                raise Unavailable("the program is stopping")
            self._pending[submission] = None
            self._changed.notify()
        submission.committed.add_done_callback(lambda done: self._forget(submission, done))
        return submission.committed

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Publish what is handed in until told to stop; then what is there, and nothing more.

        Raises any Fatal that the producer raises, after every submission has been told.
        """
        taken: list[Submission] = []
        try:
            while not should_stop():
                self._observer.heartbeat()
                taken = self._take(LOOK_SECONDS)
                self._publish(taken)
            self._close()
            while taken := self._take(0):
                self._publish(taken)
        except BaseException as error:
            self._close()
            _fail(taken, OutcomeUnknown(str(error)))
            _fail(self._pending, Unavailable(str(error)))
            raise
        finally:
            self._producer.leave()

    def _close(self) -> None:
        with self._changed:
            self._is_closed = True

    def _take(self, seconds: float) -> list[Submission]:
        """Return the next submissions, as many as a transaction has; none after so many seconds."""
        taken: list[Submission] = []
        records = size = 0
        with self._changed:
            self._changed.wait_for(lambda: self._pending, seconds)
            for submission in list(self._pending):
                records += len(submission.records)
                size += submission.size
                if taken and (records > TRANSACTION_RECORDS or size > TRANSACTION_BYTES):
                    break
                del self._pending[submission]
                if submission.committed.set_running_or_notify_cancel():
                    taken.append(submission)
        return taken

    def _forget(self, submission: Submission, done: Future[None]) -> None:
        """Let go of what was withdrawn."""
        if done.cancelled():
            with self._changed:
                self._pending.pop(submission, None)

    def _publish(self, taken: list[Submission]) -> None:
        """Publish submissions in one transaction, again after each abort until their deadlines."""
        self._began_at = self._clock()
        pause = PAUSE_SECONDS
        while taken:
            began_at = self._clock()
            try:
                for submission in taken:
                    for record in submission.records:
                        self._producer.produce(record)
                self._producer.commit_records()
            except Transient as error:
                self._observer.aborted(str(error), "passing" if error.passes else "unknown")
                now = self._clock()
                _fail([item for item in taken if item.deadline <= now + pause], error)
                taken[:] = [item for item in taken if not item.committed.done()]
                self._pause(pause if taken else 0)
                pause = min(2 * pause, MAX_PAUSE_SECONDS)
            except OutcomeUnknown as error:
                articles = sum(len(item.records) for item in taken)
                self._observer.outcome_unknown(len(taken), articles, str(error))
                _fail(taken, error)
                taken.clear()
            else:
                articles = sum(len(item.records) for item in taken)
                self._observer.committed(len(taken), articles, self._clock() - began_at)
                for item in taken:
                    item.committed.set_result(None)
                taken.clear()
        self._began_at = None


def _fail(submissions: Sequence[Submission] | dict[Submission, None], error: Unavailable) -> None:
    """Tell submissions that have not been told what became of them, unless they are withdrawn."""
    for item in list(submissions):
        if item.committed.running() or item.committed.set_running_or_notify_cancel():
            item.committed.set_exception(error)
