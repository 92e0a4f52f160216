"""The delivery loop: poll, select, deliver until it succeeds, commit.

Records of a partition are delivered in order, one at a time and at least once: what was not
delivered is never passed by, and an offset is committed only behind what was. A receiver that is
away is tried for ever, while the consumer stays in its group; one that refuses a record is tried a
few times more, then the loop ends with the record still the next one. It does not know how a record
is delivered.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from newsieve.deadline import Deadline
from newsieve.errors import BrokerLost, BrokerUnavailable
from newsieve.kafka.messages import StoredRecord
from newsieve.programs.pushing.events import Deliverer, DeliveryObserver, RecordSource
from newsieve.records.decode import RawRecord

POLL_SECONDS: Final = 0.5
WAIT_SECONDS: Final = 0.5  # of a pause at a time: then the loop looks whether it has to stop
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_ADVISED_SECONDS: Final = 3_600.0  # of a Retry-After: more is a slip, or meant to stop us
LEAST_JITTER: Final = 0.5  # a pause is this share of its length at least


class RetryPolicy(NamedTuple):
    """The pauses between attempts, in seconds.

    `refused_pauses_seconds` are those after a refusal; the refusal after the last of them is
    final. Any other failure is tried again for ever, after pauses that double up to
    `max_pause_seconds`.
    """

    max_pause_seconds: float = 60.0
    refused_pauses_seconds: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)
    commit_seconds: float = 1.0  # between commits; 0: after every record


class DeliveryLoop:
    """Delivers the records of one source."""

    def __init__(
        self,
        source: RecordSource,
        selects: Callable[[RawRecord], bool],
        deliverer: Deliverer,
        observer: DeliveryObserver,
        policy: RetryPolicy,
        draw: Callable[[], float],
    ) -> None:
        """`selects` says whether a record is delivered or passed over; `draw` returns a random
        number from 0 to 1, for the jitter of pauses."""
        self._source = source
        self._selects = selects
        self._deliverer = deliverer
        self._observer = observer
        self._policy = policy
        self._draw = draw
        self._commit_due = Deadline(policy.commit_seconds)

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Deliver until told to stop, or until the end of the source. An attempt that is under way
        then is finished. Raises what the deliverer's `given_up` returns, WrongUsage, TopicsWrong,
        ConsumerFailed, or BrokerLost where the last commit failed."""
        try:
            while not should_stop() and not self._source.is_at_end:
                self._observer.heartbeat()
                item = self._source.poll(POLL_SECONDS)
                if item is not None and self._handle(item, should_stop):
                    self._source.handled(item)
                if self._commit_due.is_over:
                    self._commit()
        finally:
            is_committed = self._commit()
        if not is_committed:
            raise BrokerLost("the last offsets are not committed: their records come again")

    def _handle(self, item: StoredRecord, should_stop: Callable[[], bool]) -> bool:
        """Deliver the record or pass it over. Returns whether reading may go on behind it."""
        if not self._selects(item.record):
            self._observer.passed_over(item)
            return True
        return self._deliver(item, should_stop)

    def _deliver(self, item: StoredRecord, should_stop: Callable[[], bool]) -> bool:
        """Attempt until the record is delivered. Returns False when told to stop, or when the
        record's partition was taken away: then the record comes again."""
        failures = refusals = 0
        while True:
            started_at = time.monotonic()
            attempt = self._deliverer.deliver(item)
            self._observer.attempted(attempt, time.monotonic() - started_at)
            if attempt.outcome == "delivered":
                self._observer.delivered(item)
                return True
            if attempt.outcome == "refused":
                if refusals == len(self._policy.refused_pauses_seconds):
                    raise self._deliverer.given_up(item, attempt.reason, refusals + 1)
                pause = self._policy.refused_pauses_seconds[refusals]
                refusals += 1
            else:
                pause = self._pause_after(failures, attempt.retry_after_seconds)
                failures += 1
            self._observer.retried(item, attempt.reason, pause)
            self._commit()
            if not self._wait(item, pause, should_stop):
                return False

    def _pause_after(self, failures: int, advised_seconds: float | None) -> float:
        """Return the pause after so many earlier failures: it doubles, with jitter, and is no
        shorter than the receiver advised."""
        longest = self._policy.max_pause_seconds
        doubled = FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 30)
        jitter = LEAST_JITTER + (1 - LEAST_JITTER) * self._draw()
        return max(
            min(doubled, longest) * jitter, min(advised_seconds or 0.0, LONGEST_ADVISED_SECONDS)
        )

    def _wait(self, item: StoredRecord, seconds: float, should_stop: Callable[[], bool]) -> bool:
        """Wait as a member of the group. Returns whether the record is to be tried again."""
        deadline = Deadline(seconds)
        while not deadline.is_over:
            if should_stop():
                return False
            self._observer.heartbeat()
            self._source.wait(min(deadline.seconds_left, WAIT_SECONDS))
            if not self._source.is_current(item):
                return False
        return not should_stop()

    def _commit(self) -> bool:
        """Commit what was handled. Returns whether that succeeded."""
        self._commit_due = Deadline(self._policy.commit_seconds)
        try:
            self._source.commit()
        except BrokerUnavailable as error:
            self._observer.commit_failed(str(error))
            return False
        self._observer.committed()
        return True
