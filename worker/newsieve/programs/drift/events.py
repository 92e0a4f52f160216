"""What the drift loop tells its observer. Does not know what the observer makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from newsieve.drift.filter_monitor import FilterMonitor
from newsieve.drift.monitor_state import Transition
from newsieve.stream.transaction_counts import AbortFault, TransactionCounts


class DriftObserver(Protocol):
    """The observer of one drift loop; all its methods are called by the loop's thread."""

    def heartbeat(self) -> None:
        """The loop is alive."""
        ...

    def resumed(self, states: int, partitions: int) -> None:
        """The loop is at work from now on, with so many restored states and partitions."""
        ...

    def alert_published(self, step: Transition) -> None:
        """The alert of this transition was published and committed."""
        ...

    def committed(self, counts: TransactionCounts, seconds: float) -> None:
        """A transaction was committed, which took so long."""
        ...

    def aborted(self, reason: str, fault: AbortFault) -> None:
        """A transaction was aborted; its records come again, unless the fault is permanent."""
        ...

    def measured(self, monitors: Sequence[FilterMonitor], buffered: int | None) -> None:
        """The state of all monitors, and the number of records that wait for their turn, which is
        None while another process of the group is at work."""
        ...

    def drained(self, buffered: int) -> None:
        """The loop has stopped; so many buffered records will come again."""
        ...
