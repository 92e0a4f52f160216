"""How many records are polled at a time: as many as wanted, unless they are large.

A batch of a few kilobytes may decompress to gigabytes of records, which librdkafka then holds once.
It gives copies of as many as it is asked for, and what is made of them takes several times their
size: so the next ones are asked for only while there is room.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from newsieve.deadline import Deadline
from newsieve.kafka.messages import GroupRecord
from newsieve.records.compressed import declared_size
from newsieve.records.decode import RawRecord
from newsieve.records.json_parsing import MAX_RECORD_BYTES

# Of a micro-batch: thousands of usual articles, four of the largest. Decoded, folded and tokenised,
# with two in flight and one on its way, they take some 300 MB.
MOST_BYTES: Final = 16 * 1024 * 1024
STEP_RECORDS: Final = 16  # at first; of large ones fewer, of usual ones more
# While none is larger, steps double: each has a price of its own, of 16 records a seventh of all
# that the loop does. The first large ones behind many usual ones may then come a batch at once.
USUAL_BYTES: Final = 64 * 1024


class PollSize:
    """Sizes the polls of one consumer by the records that it took last."""

    def __init__(self) -> None:
        self._largest_bytes = 1  # of the records taken last
        self._step = STEP_RECORDS

    def gather(
        self, take: Callable[[int, float], list[GroupRecord]], count: int, seconds: float
    ) -> list[GroupRecord]:
        """Up to `count` of the records that `take` gives, and about MOST_BYTES of them. Raises what
        `take` raises."""
        deadline = Deadline(seconds)
        gathered: list[GroupRecord] = []
        room, wait = MOST_BYTES, seconds
        while room > 0 and (left := count - len(gathered)) > 0:
            asked = min(left, self._step, max(room // self._largest_bytes, 1))
            found = take(asked, wait)
            sizes = [size_of(item.record) for item in found if item.record is not None]
            self._largest_bytes = max(sizes, default=self._largest_bytes) or 1
            gathered += found
            room -= sum(sizes)
            if self._largest_bytes > USUAL_BYTES:
                self._step = STEP_RECORDS
            elif len(found) == self._step and self._step < count:
                self._step *= 2
            if len(found) < asked:
                break
            wait = deadline.seconds_left
        return gathered


def size_of(record: RawRecord) -> int:
    """How many bytes of value, key and headers its producer gave it. A value that its producer
    compressed counts as what it says that it unfolds to."""
    unfolded = declared_size(record.value)
    value_bytes = MAX_RECORD_BYTES if unfolded is None else min(unfolded, MOST_BYTES)
    size = max(value_bytes, len(record.value)) + len(record.key or b"")
    for name, value in record.headers or ():
        size += len(name) + len(value or b"")
    return size
