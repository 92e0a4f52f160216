"""Decides when a failure that comes again and again is for a person to repair.

It knows where partitions stand, and nothing of what is done with their records.
"""

from __future__ import annotations

from collections.abc import Mapping

from newsieve.errors import NoProgress, Unavailable
from newsieve.kafka.message_errors import SameAgain
from newsieve.kafka.offsets import Offsets, Partition
from newsieve.kafka.timeouts import Timeouts

Ends = Mapping[Partition, int | None]  # up to where records are, as far as is known


class Progress:
    """The commits of one process, and the failures since the last of them."""

    def __init__(self, offsets: Offsets, timeouts: Timeouts) -> None:
        self._offsets = offsets
        self._same = SameAgain(timeouts=timeouts)
        self._committed: dict[Partition, int] = {}
        self._attempted: Ends = {}

    def attempt(self, ends: Ends) -> None:
        """Note that a commit up to these offsets is under way; none with an empty mapping."""
        self._attempted = ends

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """Note that these offsets are committed."""
        self._committed |= offsets
        self._same.committed()

    def failed(self, failure: Unavailable) -> None:
        """Count a failure. Raises NoProgress once an unlisted one has come too often to be a
        passing one."""
        if failure.passes:
            self._same.passed()
            return
        self._same.failed(str(failure), self._standing(failure.partition))
        if self._same.is_stuck():
            raise self._no_progress(str(failure), failure.partition)

    def require_new_reason(self, reason: str) -> None:
        """Raise NoProgress where all failures so far were for one reason, and this is the last."""
        if self._same.is_stuck(is_last=True):
            raise self._no_progress(reason) from None

    def _ends(self, alone: Partition | None) -> Ends:
        """The offsets up to which records are concerned by a failure. They are unknown for a
        partition that cannot be read."""
        return {alone: None} if alone else self._attempted or self._offsets.to_commit()

    def _standing(self, alone: Partition | None) -> dict[Partition, int]:
        """The offsets where the partitions stand that a failure is about, as far as is known."""
        resumes = {item: self._offsets.next_uncommitted(item) for item in self._ends(alone)}
        return {
            item: self._committed.get(item, 0) if offset is None else offset
            for item, offset in resumes.items()
        }

    def _no_progress(self, reason: str, alone: Partition | None = None) -> NoProgress:
        ends = self._ends(alone)
        places = ", ".join(
            f"{topic}/{number} from offset {offset} to {ends[topic, number] or 'unknown'}"
            for (topic, number), offset in self._standing(alone).items()
        )
        return NoProgress(
            f"no progress, again and again, for one reason: {reason}. Records concerned: "
            f"{places or 'not known'}. The broker's log says more; `newsieve topics check` and "
            "`newsieve doctor` compare topics and rights with what is needed"
        )
