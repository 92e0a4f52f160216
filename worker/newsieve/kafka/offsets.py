"""Which offsets belong into the next commit, and where to go back to when one fails. Pure.

Every assignment of a partition, and every rewind, starts a new epoch. Work carries the epoch it
was taken in; work of an older one is dropped. So what a rebalance or an abort made void can
never be published, however late it arrives.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Partition = tuple[str, int]


@dataclass(slots=True)
class _Progress:
    assignment: int  # the epoch it was assigned in
    epoch: int
    resume: int | None = None  # the first offset whose outcome is not committed
    taken: int | None = None  # one more than the last offset taken
    end: int | None = None  # the partition's, when all that is there had been taken
    produced: int | None = None  # one more than the last offset in the open transaction


class Offsets:
    """Progress of the partitions this worker owns."""

    def __init__(self) -> None:
        self._partitions: dict[Partition, _Progress] = {}
        self._epochs = 0

    def __len__(self) -> int:
        return len(self._partitions)

    def assign(self, partitions: Iterable[Partition]) -> None:
        """These are ours now, from wherever the group left them."""
        for partition in partitions:
            epoch = self._next_epoch()
            self._partitions[partition] = _Progress(epoch, epoch)

    def revoke(self, partitions: Iterable[Partition]) -> None:
        """These are no longer ours. What was taken of them is void."""
        for partition in partitions:
            self._partitions.pop(partition, None)

    def take(self, partition: Partition, offset: int) -> int | None:
        """The epoch for a record just consumed; None when the partition is not ours."""
        progress = self._partitions.get(partition)
        if progress is None:
            return None
        if progress.resume is None:
            progress.resume = offset
        progress.taken = offset + 1
        return progress.epoch

    def at_end(self, partition: Partition, offset: int) -> None:
        """All that is there has been taken. The end may lie behind the last record: what ends a
        transaction has an offset, too."""
        progress = self._partitions.get(partition)
        if progress is not None:
            progress.end = offset

    def is_current(self, partition: Partition, epoch: int) -> bool:
        progress = self._partitions.get(partition)
        return progress is not None and progress.epoch == epoch

    def produce(self, partition: Partition, offset: int) -> None:
        """All outcomes of this record are in the open transaction."""
        self._partitions[partition].produced = offset + 1

    def to_commit(self) -> dict[Partition, int]:
        """For each partition with progress, the offset to commit."""
        return {
            partition: progress.produced
            for partition, progress in self._partitions.items()
            if progress.produced is not None
        }

    def committed(self) -> None:
        """The transaction with `to_commit` is committed."""
        for progress in self._partitions.values():
            if progress.produced is not None:
                progress.resume, progress.produced = progress.produced, None

    def rewind(self) -> dict[Partition, int]:
        """Nothing since the last commit counts. Returns where to seek; what was taken is void."""
        for progress in self._partitions.values():
            progress.epoch, progress.produced, progress.end = self._next_epoch(), None, None
        return {
            partition: progress.resume
            for partition, progress in self._partitions.items()
            if progress.resume is not None
        }

    def resume_at(self, offsets: dict[Partition, int]) -> None:
        """What the broker says is committed, after a commit of unknown outcome."""
        for partition, offset in offsets.items():
            if partition in self._partitions:
                self._partitions[partition].resume = offset

    def resume_of(self, partition: Partition) -> int | None:
        """The first offset whose outcome is not committed, once a record has come."""
        progress = self._partitions.get(partition)
        return progress.resume if progress is not None else None

    def reached(self, partition: Partition) -> int | None:
        """The first offset whose outcome is not committed, or the end, if all are; once a record
        or the end has come."""
        progress = self._partitions.get(partition)
        if progress is None:
            return None
        if progress.end is not None and progress.resume in (None, progress.taken):
            return max(progress.end, progress.resume or 0)
        return progress.resume

    def assignment_of(self, partition: Partition) -> int | None:
        """Which time it was assigned: another one when it has left and come back."""
        progress = self._partitions.get(partition)
        return progress.assignment if progress is not None else None

    def is_owned(self, partition: Partition) -> bool:
        return partition in self._partitions

    def owned(self) -> list[Partition]:
        return list(self._partitions)

    def _next_epoch(self) -> int:
        self._epochs += 1
        return self._epochs
