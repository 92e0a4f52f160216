"""A consumed message as a raw record."""

from __future__ import annotations

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from newsieve.records.decode import Headers, RawRecord
from newsieve.records.encode import timestamp


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
