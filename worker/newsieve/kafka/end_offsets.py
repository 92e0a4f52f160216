"""The offsets that a backfill reads up to, and what moves the group's offsets there.

It does not know how the offsets were found, nor what becomes of the records before them.
"""

from __future__ import annotations

from collections.abc import Mapping

from newsieve.kafka.messages import ConsumedRecord, GroupRecord
from newsieve.kafka.offsets import Offsets, Partition


class EndOffsets:
    """Ends each partition at its offset, once per epoch."""

    def __init__(self, ends: Mapping[Partition, int], offsets: Offsets) -> None:
        self._ends = ends
        self._offsets = offsets
        self._ended: dict[Partition, int] = {}  # in which epoch the end was reached

    def is_beyond(self, partition: Partition, offset: int | None) -> bool:
        """Whether nothing at this offset is to be taken."""
        return offset is not None and partition in self._ends and offset >= self._ends[partition]

    def reach(self, partition: Partition) -> list[GroupRecord]:
        """What moves the group's offset up to the end, behind all that was taken before: there may
        be no record just below it. Nothing for an end that was reached in this epoch."""
        end = self._ends[partition]
        epoch = self._offsets.take(partition, end)
        if epoch is None or self._ended.get(partition) == epoch:
            return []
        self._ended[partition] = epoch
        return [ConsumedRecord(None, partition, end - 1, epoch)]
