"""How many bytes a record takes in a batch, and whether a producer takes that many.

It does not know what becomes of a record that is too large.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from newsieve.errors import OutputTooLarge
from newsieve.records.encode import OutRecord

RECORD_OVERHEAD_BYTES: Final = 1_024  # of the batch and its framing
HEADER_OVERHEAD_BYTES: Final = 10  # of a header's two lengths, at most
CHARACTER_BYTES: Final = 4  # in UTF-8, at most


def require_fit(records: Iterable[OutRecord], max_message_bytes: int) -> None:
    """Raise OutputTooLarge for a record that is larger than this."""
    for record in records:
        if _most_bytes(record) <= max_message_bytes:  # nearly always, at half the cost
            continue
        size = _bytes(record)
        if size > max_message_bytes:
            raise OutputTooLarge(
                f"a record of {size:,} bytes for {record.topic}, where message.max.bytes is "
                f"{max_message_bytes:,}"
            )


def _most_bytes(record: OutRecord) -> int:
    """A bound on the record's bytes, for which no header's name is encoded."""
    _, key, value, headers, _ = record
    size = RECORD_OVERHEAD_BYTES + HEADER_OVERHEAD_BYTES * len(headers)
    if value:
        size += len(value)
    if key:
        size += len(key)
    for name, content in headers:
        size += CHARACTER_BYTES * len(name)
        if content:
            size += len(content)
    return size


def _bytes(record: OutRecord) -> int:
    size = len(record.value or b"") + len(record.key or b"") + RECORD_OVERHEAD_BYTES
    for name, content in record.headers:
        size += len(name.encode()) + len(content or b"") + HEADER_OVERHEAD_BYTES
    return size
