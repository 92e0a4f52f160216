"""What programs tell their observers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from newsieve.drift.filter_monitor import FilterMonitor
from newsieve.drift.monitor_state import Transition
from newsieve.records.decode import RawRecord
from newsieve.stream.outcome import Outcome

# It comes and goes; nobody has listed it, so that it may or may not; it is a person's turn.
AbortFault = Literal["passing", "unknown", "permanent"]


@dataclass(slots=True)
class TransactionCounts:
    """What one transaction holds, in numbers; it keeps no record."""

    records: int = 0
    tombstones: int = 0
    nulled_fields: int = 0
    on_record: int = 0  # tier records that a backfill did not publish again
    # filter ("" when nothing was decoded), outcome, tier or stage or ""
    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    suspect: Counter[str] = field(default_factory=Counter)  # articles that speak to a model, by how
    timestamps_ms: list[int] = field(default_factory=list)

    def add(self, record: RawRecord, outcomes: Sequence[Outcome]) -> None:
        """Count one consumed record and its outcomes."""
        self.records += 1
        if record.timestamp_ms is not None:
            self.timestamps_ms.append(record.timestamp_ms)
        for outcome in outcomes:
            detail = outcome.error.stage if outcome.error is not None else outcome.tier or ""
            self.outcomes[outcome.filter or "", outcome.outcome, detail] += 1
            self.on_record += outcome.is_on_record


class Waiting(NamedTuple):
    """A request of a filter that the oracle has not loaded. Its partition waits there."""

    partition: tuple[str, int]
    offset: int
    timestamp_ms: int | None
    reason: str


class Observer(Protocol):
    """Who watches the worker."""

    def heartbeat(self) -> None:
        """The loop is alive."""
        ...

    def committed(self, tally: TransactionCounts, seconds: float) -> None:
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


class LabelObserver(Protocol):
    """Who watches the oracle."""

    def heartbeat(self) -> None:
        """The loop is alive."""
        ...

    def committed(self, tally: TransactionCounts, seconds: float) -> None:
        """A transaction was committed, which took so long."""
        ...

    def standing(self, waiting: int, oldest_ms: int | None, calls: int, usd: float) -> None:
        """Requests in memory, the oldest one's timestamp, and what is left of the budget."""
        ...

    def other_key(self, fingerprint: str) -> None:
        """A request was drawn with a key of this fingerprint, which is not the oracle's."""
        ...

    def not_loaded(self, waiting: Sequence[Waiting]) -> None:
        """The partitions that wait now. Told again and again."""
        ...

    def drained(self, abandoned: int) -> None:
        """The oracle has stopped; so many requests in memory will come again."""
        ...


class DriftObserver(Protocol):
    """Who watches the drift monitor."""

    def heartbeat(self) -> None:
        """The loop is alive."""
        ...

    def resumed(self, states: int, partitions: int) -> None:
        """It is at work from now on, from so many states, on so many partitions."""
        ...

    def told(self, step: Transition) -> None:
        """An alert will be published, with the next commit."""
        ...

    def committed(self, tally: TransactionCounts, seconds: float) -> None:
        """A transaction was committed, which took so long."""
        ...

    def aborted(self, reason: str, fault: AbortFault) -> None:
        """A transaction was aborted; its records come again, unless the fault is permanent."""
        ...

    def standing(self, watches: Sequence[FilterMonitor], at_hand: int | None) -> None:
        """The watches, and records whose turn has not come. None: another process is at work."""
        ...

    def drained(self, left: int) -> None:
        """The monitor has stopped; so many records at hand will come again."""
        ...
