"""What the collector's loop tells its observer. Does not know what the observer makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from newsieve.errors import RecordError
from newsieve.kafka.config import Partition
from newsieve.store.rows import Row


class CollectorObserver(Protocol):
    """The observer of one collector; all its methods are called by the loop's thread."""

    def heartbeat(self) -> None:
        """The loop is alive."""
        ...

    def started(self, partitions: int, records: int) -> None:
        """The loop reads so many partitions from now on, with so many records to their ends."""
        ...

    def written(self, rows: Sequence[Row], seconds: float) -> None:
        """Rows and offsets were committed, which took so long."""
        ...

    def refused(self, topic: str, partition: int, offset: int, error: RecordError) -> None:
        """A record was passed over, since it is none of newsieve's."""
        ...

    def interrupted(self, reason: str, seconds: float) -> None:
        """The topics cannot be read now, and are tried again after so many seconds."""
        ...

    def expired(self, partition: Partition, records: int) -> None:
        """Retention removed so many records before they were read."""
        ...

    def made_anew(self, partition: Partition, stored: int, end: int) -> None:
        """A partition ends before what was read of it: its topic was made anew."""
        ...

    def measured(self, lag: Mapping[Partition, int]) -> None:
        """The records behind each partition's position."""
        ...
