"""The requests that an oracle has polled and not yet published, and the partitions it has paused.

Two things pause a partition: there is no room for more requests, or its next request is for a
filter that this oracle has not loaded. Behind such a request nothing of its partition is asked:
only a restart brings the filter, and a restart would lose answers that cannot be committed yet, so
that they would be paid for twice. It does not know what is asked, nor when to commit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final, NamedTuple, Protocol

from newsieve.errors import RecordError
from newsieve.kafka.config import Partition
from newsieve.kafka.messages import GroupRecord
from newsieve.oracle.label_request import LabelRequest
from newsieve.programs.labeling.events import Waiting

BACKLOG_REQUESTS: Final = 500  # in memory; the rest waits on the topic
BACKLOG_BYTES: Final = 64_000_000


class PendingRequest(NamedTuple):
    """One polled record: a valid request, an invalid one with its error, or a tombstone."""

    taken: GroupRecord
    request: LabelRequest | None
    error: RecordError | None


class Pausing(Protocol):
    """The part of a consumer that pauses partitions."""

    def hold(self, partitions: Iterable[Partition], *, is_held: bool) -> None:
        """Take nothing from these partitions, or take again."""
        ...


class Backlog:
    """The requests in memory of one oracle, for use by its owner's thread only."""

    def __init__(self, consumer: Pausing, owned: Callable[[], Collection[Partition]]) -> None:
        self.items: list[PendingRequest] = []  # in the order they were taken
        self._consumer = consumer
        self._owned = owned
        self._waiting: dict[Partition, Waiting] = {}
        self._is_paused = False  # more than the partitions that wait

    @property
    def waiting(self) -> Collection[Waiting]:
        """Where partitions wait for their filter."""
        return self._waiting.values()

    @property
    def oldest_ms(self) -> int | None:
        """The timestamp of the oldest request, in milliseconds; None where there is none."""
        times = [item.timestamp_ms for item in self._waiting.values()]
        first = self.items[0].taken.record if self.items else None
        times.append(first.timestamp_ms if first is not None else None)
        return min((time for time in times if time is not None), default=None)

    def __len__(self) -> int:
        return len(self.items) + len(self._waiting)

    def is_under_way(self, partitions: Collection[Partition]) -> bool:
        """Whether a call for a request of these partitions is under way."""
        return any(
            item.request is not None and item.request.is_under_way
            for item in self.items
            if item.taken.partition in partitions
        )

    def make_room(self) -> int:
        """Return for how many requests there is room. Resume what was paused once half of it is
        free."""
        room = BACKLOG_REQUESTS - len(self.items)
        if sum(len(i.taken.record.value) for i in self.items if i.taken.record) > BACKLOG_BYTES:
            room = 0
        if self._is_paused and room > BACKLOG_REQUESTS // 2:
            self._pause(is_paused=False)
        return room

    def pause(self) -> None:
        """Pause all partitions, also those that came since the last time."""
        self._pause(is_paused=True)

    def is_waiting(self, partition: Partition) -> bool:
        """Whether the partition waits for a filter."""
        return partition in self._waiting

    def wait(self, taken: GroupRecord, reason: str) -> None:
        """Stay before this request for as long as this oracle owns the partition."""
        timestamp_ms = taken.record.timestamp_ms if taken.record is not None else None
        self._waiting[taken.partition] = Waiting(
            taken.partition, taken.offset, timestamp_ms, reason
        )
        self._consumer.hold([taken.partition], is_held=True)

    def clear(self) -> None:
        """Forget all requests: the same records will come again, and those that wait, too."""
        self.items = []
        self._is_paused = self._is_paused or bool(self._waiting)
        self._waiting.clear()

    def drop_partitions(self, partitions: Collection[Partition] | None) -> None:
        """Forget the requests of these partitions, or of all: somebody else owns them now."""
        if partitions is None:
            self.items, self._waiting = [], {}
            return
        self.items = [item for item in self.items if item.taken.partition not in partitions]
        for partition in partitions:
            self._waiting.pop(partition, None)

    def _pause(self, *, is_paused: bool) -> None:
        others = [item for item in self._owned() if item not in self._waiting]
        self._consumer.hold(others, is_held=is_paused)
        self._is_paused = is_paused
