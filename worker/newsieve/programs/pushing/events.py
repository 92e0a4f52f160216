"""What the delivery loop asks of its surroundings: a source of records, a deliverer, an observer.

Does not know Kafka, HTTP or what is made of an event.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from newsieve.errors import NeedsPerson
from newsieve.kafka.messages import StoredRecord

Outcome = Literal["delivered", "unavailable", "refused"]


class Attempt(NamedTuple):
    """What came of one attempt to deliver a record.

    `unavailable` says that the receiver may take it later, and `retry_after_seconds` when it asked
    to be tried again; `refused` that the receiver does not take this record as it is.
    """

    outcome: Outcome
    reason: str = ""
    retry_after_seconds: float | None = None


DELIVERED = Attempt("delivered")


class RecordSource(Protocol):
    """A topic that is read at least once, as `AtLeastOnceConsumer` does."""

    @property
    def is_at_end(self) -> bool:
        """Whether nothing more is to come."""
        ...

    def poll(self, seconds: float) -> StoredRecord | None:
        """Return the next record, if one comes in time."""
        ...

    def wait(self, seconds: float) -> None:
        """Stay in the group for so long, and take no record."""
        ...

    def is_current(self, item: StoredRecord) -> bool:
        """Return whether the record is still ours to deliver."""
        ...

    def handled(self, item: StoredRecord) -> None:
        """Note that the next commit may go beyond this record."""
        ...

    def commit(self) -> None:
        """Commit what was handled. Raises BrokerUnavailable."""
        ...


class Deliverer(Protocol):
    """The way to one receiver."""

    def deliver(self, item: StoredRecord) -> Attempt:
        """Make one attempt, which takes a limited time. Raises WrongUsage for a record that this
        deliverer can make nothing of."""
        ...

    def given_up(self, item: StoredRecord, reason: str, attempts: int) -> NeedsPerson:
        """Return the error that ends the program, for a record that was refused repeatedly."""
        ...


class DeliveryObserver(Protocol):
    """The observer of one delivery loop; all its methods are called by the loop's thread."""

    def heartbeat(self) -> None:
        """The loop is alive."""
        ...

    def attempted(self, attempt: Attempt, seconds: float) -> None:
        """An attempt has ended, which took so long."""
        ...

    def delivered(self, item: StoredRecord) -> None:
        """A record has been delivered."""
        ...

    def passed_over(self, item: StoredRecord) -> None:
        """A record does not meet the conditions, and is not delivered."""
        ...

    def retried(self, item: StoredRecord, reason: str, pause_seconds: float) -> None:
        """A record was not delivered, and will be tried again after this pause."""
        ...

    def commit_failed(self, reason: str) -> None:
        """Offsets could not be committed; the next commit has them, too."""
        ...

    def committed(self) -> None:
        """The offsets of all that was delivered and passed over are committed."""
        ...
