"""Merges the records of many partitions into one order, that of their times, which is the same on
every run. Pure.

The order within a partition is kept; between partitions the earliest record goes first, by time,
then by the partitions' order. A partition without a buffered record holds all others up, unless it
has been read to its end. When all partitions are read to their ends, a record is released once it
has settled: whatever was written before it has come by then. What comes later still is released
when it comes, out of order.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from newsieve.kafka.offsets import Partition

SETTLE_MILLISECONDS: Final = 2_000  # a writer's transaction takes less, unless a broker is ill
BELIEVED_MILLISECONDS: Final = 60 * 60 * 1_000  # a record from further ahead has no known time

Item = TypeVar("Item")


class TimedRecord(NamedTuple, Generic[Item]):
    """An item with its position and its time in milliseconds, which is the record's own or that of
    its arrival."""

    partition: Partition
    offset: int
    timestamp_ms: int
    item: Item
    has_own_time: bool = True


class EventTimeMerger(Generic[Item]):
    """Buffers the records of these partitions and releases them in the order of their times. The
    order of the partitions decides between records of one moment."""

    def __init__(self, partitions: Sequence[Partition], settle: int = SETTLE_MILLISECONDS) -> None:
        self.size = 0  # records at hand
        self._order = {partition: rank for rank, partition in enumerate(partitions)}
        self._settle = settle
        self._queues: dict[Partition, deque[tuple[TimedRecord[Item], int]]] = {
            partition: deque() for partition in partitions
        }
        self._ended: set[Partition] = set()
        self._awaited = set(partitions)  # nothing at hand, and not at their end
        self._heads: list[tuple[int, int, Partition]] = []  # a heap: the first of each queue

    def put(self, record: TimedRecord[Item], arrived: int) -> None:
        """Buffer the partition's next record, which arrived at this time of our clock."""
        queue = self._queues[record.partition]
        queue.append((record, arrived))
        self.size += 1
        self._ended.discard(record.partition)
        if len(queue) == 1:
            self._awaited.discard(record.partition)
            self._push(record)

    def at_end(self, partition: Partition) -> None:
        """Note that the partition has been read to its present end."""
        self._ended.add(partition)
        self._awaited.discard(partition)

    def at_hand(self) -> frozenset[Partition]:
        """The partitions with a buffered record: none of them holds others up."""
        return frozenset(partition for partition, queue in self._queues.items() if queue)

    def due(self, now: int) -> Iterator[TimedRecord[Item]]:
        """Release records in order, as far as they may go now."""
        while not self._awaited and self._heads:
            partition = self._heads[0][-1]
            queue = self._queues[partition]
            record, arrived = queue[0]
            if min(record.timestamp_ms, arrived) > now - self._settle:
                return
            heapq.heappop(self._heads)
            queue.popleft()
            self.size -= 1
            if queue:
                self._push(queue[0][0])
            elif partition not in self._ended:
                self._awaited.add(partition)
            yield record

    def watermark(self, now: int) -> int | None:
        """The time up to which nothing can come in order any more, once `due` has been exhausted.

        None while a partition is awaited: then anything can come.
        """
        return None if self._awaited else now - self._settle

    def _push(self, record: TimedRecord[Item]) -> None:
        partition = record.partition
        heapq.heappush(self._heads, (record.timestamp_ms, self._order[partition], partition))


def clamp_timestamp(timestamp_ms: int | None, arrived: int) -> int:
    """A record's time: its timestamp, or its arrival where the timestamp is missing or nonsense."""
    if timestamp_ms is None or not 0 <= timestamp_ms <= arrived + BELIEVED_MILLISECONDS:
        return arrived
    return timestamp_ms
