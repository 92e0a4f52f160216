"""Sets of offsets as sorted, disjoint ranges. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


class OffsetRanges:
    """A set of offsets that grows one at a time, as ranges of which both ends are included."""

    def __init__(self, ranges: Iterable[Iterable[int]] = ()) -> None:
        self._ranges = sorted([first, last] for first, last in ranges)

    def __contains__(self, offset: int) -> bool:
        at = bisect_right(self._ranges, offset, key=lambda item: item[0]) - 1
        return at >= 0 and offset <= self._ranges[at][1]

    def add(self, offset: int) -> None:
        if offset in self:
            return
        at = bisect_right(self._ranges, offset, key=lambda item: item[0])
        self._ranges.insert(at, [offset, offset])
        if at + 1 < len(self._ranges) and self._ranges[at + 1][0] == offset + 1:
            self._ranges[at][1] = self._ranges.pop(at + 1)[1]
        if at > 0 and self._ranges[at - 1][1] == offset - 1:
            self._ranges[at - 1][1] = self._ranges.pop(at)[1]

    def as_lists(self) -> list[list[int]]:
        return [list(item) for item in self._ranges]
