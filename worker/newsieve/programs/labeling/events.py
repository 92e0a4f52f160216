"""What the labelling loop tells its observer. Does not know what the observer makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from newsieve.stream.transaction_counts import TransactionCounts


class Waiting(NamedTuple):
    """A request for a filter that the oracle has not loaded, at which its partition waits."""

    partition: tuple[str, int]
    offset: int
    timestamp_ms: int | None
    reason: str


class LabelObserver(Protocol):
    """The observer of one labelling loop; all its methods are called by the loop's thread."""

    def heartbeat(self) -> None:
        """The loop is alive."""
        ...

    def committed(self, transaction: TransactionCounts, seconds: float) -> None:
        """A transaction was committed, which took so long."""
        ...

    def backlog_measured(self, waiting: int, oldest_ms: int | None, calls: int, usd: float) -> None:
        """Requests in memory, the oldest one's timestamp, and what is left of the budget."""
        ...

    def other_key(self, fingerprint: str) -> None:
        """A request was drawn with a key of this fingerprint, which is not the oracle's."""
        ...

    def not_loaded(self, waiting: Sequence[Waiting]) -> None:
        """The partitions that wait now, told with every step of the loop."""
        ...

    def drained(self, abandoned: int) -> None:
        """The oracle has stopped; so many requests in memory will come again."""
        ...
