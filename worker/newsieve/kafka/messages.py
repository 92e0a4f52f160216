"""What a consumer gives: a record, and the position that it was read from.

Every consumer of newsieve gives this one shape. It does not know who reads, nor what for.
"""

from __future__ import annotations

from typing import Final, Generic, NamedTuple, TypeVar

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from newsieve.kafka.offsets import Partition
from newsieve.records.decode import Headers, RawRecord
from newsieve.records.encode import timestamp

NO_EPOCH: Final = 0  # of a consumer outside a group: nobody takes its partitions away

Record = TypeVar("Record", bound=RawRecord | None)


class ConsumedRecord(NamedTuple, Generic[Record]):
    """A record, its position, and the epoch of the assignment that it was read in.

    `record` is None where only the offset moves on: for a member of a group at a tombstone or at
    the end of a backfill, for an assigned consumer at its partition's present end.
    """

    record: Record
    partition: Partition
    offset: int
    epoch: int = NO_EPOCH


GroupRecord = ConsumedRecord[RawRecord | None]
StoredRecord = ConsumedRecord[RawRecord]


def raw_record(message: Message) -> RawRecord:
    """The message's bytes, copied once. A header whose name is not UTF-8 hides all headers."""
    kind, milliseconds = message.timestamp()
    # A client may set any number; -1 is Kafka's own word for none.
    stamp = milliseconds if kind != TIMESTAMP_NOT_AVAILABLE and milliseconds >= 0 else None
    try:
        headers: Headers | None = message.headers()
    except UnicodeDecodeError:
        headers = None
    return RawRecord(
        value=message.value(),
        key=message.key(),
        headers=headers,
        timestamp_ms=stamp,
        input={
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
            "timestamp": timestamp(stamp),
        },
    )
