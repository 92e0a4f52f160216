"""What the scoring loop tells its observer. Does not know what the observer makes of it."""

from __future__ import annotations

from typing import Protocol

from newsieve.stream.transaction_counts import AbortFault, TransactionCounts


class ScoringObserver(Protocol):
    """The observer of one scoring loop; all its methods are called by the loop's thread."""

    def heartbeat(self) -> None:
        """The loop is alive and well."""
        ...

    def committed(self, transaction: TransactionCounts, seconds: float) -> None:
        """A transaction was committed, which took so long."""
        ...

    def aborted(self, reason: str, fault: AbortFault) -> None:
        """A transaction was aborted; its records come again, unless the fault is permanent."""
        ...

    def canaries(self, filter_name: str, difference: float, *, passed: bool) -> None:
        """A student's canaries were scored again; the largest difference, in score points."""
        ...

    def drained(self, abandoned: int) -> None:
        """The worker has stopped; so many records in flight will come again."""
        ...
