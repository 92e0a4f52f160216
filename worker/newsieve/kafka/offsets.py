"""Decides which offsets belong in the next commit, and where to go back to when one fails. Pure.

Every assignment of a partition, and every rewind, starts a new epoch. Work carries the epoch that
its records were read in; work of an older epoch is dropped. So what a rebalance or an abort made
void can never be published, however late it arrives.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Partition = tuple[str, int]


@dataclass(slots=True)
class _Progress:
    assignment: int  # the epoch it was assigned in
    epoch: int
    next_uncommitted: int | None = None  # the first offset whose outcome is not committed
    position: int | None = None  # one more than the last offset taken
    end: int | None = None  # the partition's, when all that is there had been taken
    pending_commit: int | None = None  # one more than the last offset in the open transaction


class Offsets:
    """The progress of the partitions that this process owns."""

    # More than 15 methods, of a few lines each: whatever is asked or told of a partition's progress
    # has to be under the one invariant, its epoch.

    def __init__(self) -> None:
        self._partitions: dict[Partition, _Progress] = {}
        self._epochs = 0

    def __len__(self) -> int:
        return len(self._partitions)

    def assign(self, partitions: Iterable[Partition]) -> None:
        """Own these partitions from now on, from wherever the group left them."""
        for partition in partitions:
            epoch = self._next_epoch()
            self._partitions[partition] = _Progress(epoch, epoch)

    def revoke(self, partitions: Iterable[Partition]) -> None:
        """Own these partitions no longer. What was read of them is void."""
        for partition in partitions:
            self._partitions.pop(partition, None)

    def take(self, partition: Partition, offset: int) -> int | None:
        """The epoch for a record just consumed; None when the partition is not ours."""
        progress = self._partitions.get(partition)
        if progress is None:
            return None
        if progress.next_uncommitted is None:
            progress.next_uncommitted = offset
        progress.position = offset + 1
        return progress.epoch

    def at_end(self, partition: Partition, offset: int) -> None:
        """Note that the partition was read to this end, which may lie behind the last record: the
        marker that ends a transaction has an offset, too."""
        progress = self._partitions.get(partition)
        if progress is not None:
            progress.end = offset

    def is_current(self, partition: Partition, epoch: int) -> bool:
        """Whether work of this epoch still counts."""
        progress = self._partitions.get(partition)
        return progress is not None and progress.epoch == epoch

    def produce(self, partition: Partition, offset: int) -> None:
        """Note that all outcomes of this record are in the open transaction."""
        self._partitions[partition].pending_commit = offset + 1

    def to_commit(self) -> dict[Partition, int]:
        """For each partition with progress, the offset to commit."""
        return {
            partition: progress.pending_commit
            for partition, progress in self._partitions.items()
            if progress.pending_commit is not None
        }

    def committed(self) -> None:
        """Note that the transaction with the offsets of `to_commit` is committed."""
        for progress in self._partitions.values():
            if progress.pending_commit is not None:
                progress.next_uncommitted, progress.pending_commit = progress.pending_commit, None

    def rewind(self) -> dict[Partition, int]:
        """Discard all progress since the last commit, and return the offsets to seek. What was read
        is void."""
        for progress in self._partitions.values():
            progress.epoch, progress.pending_commit, progress.end = self._next_epoch(), None, None
        return {
            partition: progress.next_uncommitted
            for partition, progress in self._partitions.items()
            if progress.next_uncommitted is not None
        }

    def resume_at(self, offsets: dict[Partition, int]) -> None:
        """Take over the offsets that the broker has committed, after a commit of unknown
        outcome."""
        for partition, offset in offsets.items():
            if partition in self._partitions:
                self._partitions[partition].next_uncommitted = offset

    def next_uncommitted(self, partition: Partition) -> int | None:
        """The first offset whose outcome is not committed, once a record has come."""
        progress = self._partitions.get(partition)
        return progress.next_uncommitted if progress is not None else None

    def lag_position(self, partition: Partition) -> int | None:
        """The first offset whose outcome is not committed, or the end, if all are; once a record
        or the end has come."""
        progress = self._partitions.get(partition)
        if progress is None:
            return None
        if progress.end is not None and progress.next_uncommitted in (None, progress.position):
            return max(progress.end, progress.next_uncommitted or 0)
        return progress.next_uncommitted

    def assignment_of(self, partition: Partition) -> int | None:
        """The epoch of the partition's assignment: another one when it has left and come back."""
        progress = self._partitions.get(partition)
        return progress.assignment if progress is not None else None

    def is_owned(self, partition: Partition) -> bool:
        """Whether the partition is ours now."""
        return partition in self._partitions

    def owned(self) -> list[Partition]:
        """The partitions that are ours now."""
        return list(self._partitions)

    def _next_epoch(self) -> int:
        self._epochs += 1
        return self._epochs
