"""Which facts are on the tier topics already, so that a backfill does not publish them to
subscribers again. The same fact has the same ce_id, whoever published it.

It knows nothing of Kafka, nor of why a record was published before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

import numpy as np

from newsieve.records.decode import Headers, header
from newsieve.records.encode import OutRecord

ID_BYTES: Final = 16
# Python's set takes about 91 bytes for an id, the sorted array 16: what we publish ourselves moves
# there when it takes some 90 MB.
MOST_RECENT: Final = 1_000_000


class Published:
    """The facts that were on the tier topics at first, and those published since. Two processes of
    one backfill do not know of each other's: an article that came twice may be published by
    both."""

    def __init__(self, topics: Collection[str], found: Iterable[Headers | None]) -> None:
        """`topics` are those of the tiers; `found` has the headers of what is on them, in any
        order."""
        self._topics = frozenset(topics)
        packed = bytearray()
        for headers in found:
            packed += _id_of(headers) or b""
        self._sorted = np.frombuffer(packed, dtype=f"S{ID_BYTES}")
        self._sorted.sort()
        self._found = len(self._sorted)
        self._recent: set[bytes] = set()
        self._uncommitted: set[bytes] = set()

    def __len__(self) -> int:
        """How many records there were at first; a fact may have several."""
        return self._found

    def admit(self, record: OutRecord) -> bool:
        """Whether to publish a record. A tier's fact that is admitted counts as published from then
        on, unless the transaction is rolled back."""
        fact = _id_of(record.headers) if record.topic in self._topics else None
        if fact is None:
            return True
        if fact in self._uncommitted or fact in self._recent or self._was_found(fact):
            return False
        self._uncommitted.add(fact)
        return True

    def committed(self) -> None:
        """Note that what was admitted is published."""
        self._recent |= self._uncommitted
        self._uncommitted.clear()
        if len(self._recent) > MOST_RECENT:
            recent = np.frombuffer(b"".join(self._recent), dtype=self._sorted.dtype)
            self._sorted = np.sort(np.concatenate([self._sorted, recent]))
            self._recent.clear()

    def rolled_back(self) -> None:
        """Forget what was admitted since the last commit: it comes again."""
        self._uncommitted.clear()

    def _was_found(self, fact: bytes) -> bool:
        at = self._sorted.searchsorted(np.bytes_(fact))
        return self._sorted[at : at + 1].tobytes() == fact


def _id_of(headers: Headers | None) -> bytes | None:
    """The UUID in ce_id, as bytes. None for a record that others have put there without one."""
    try:
        fact = bytes.fromhex((header(headers, "ce_id") or b"").decode("ascii").replace("-", ""))
    except ValueError:
        return None
    return fact if len(fact) == ID_BYTES else None
