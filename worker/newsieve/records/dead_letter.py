"""Makes dead letters, which hold the original key, value and headers, and `dlq.*` headers that say
why; and makes the records that `newsieve dlq replay` puts back.

Nothing that a producer sets can make a broker refuse a letter. The letter's time is that of its
writing, and the original's time is in `dlq.timestamp`. A compacted topic takes no record without a
key, so a letter whose original had none gets one, and `dlq.key-made` says so. A replayed record
keeps `dlq.filter` and `dlq.attempts`: the worker then scores it for that filter only, and goes on
counting. `dlq.*` headers that a producer sets are not kept, because only newsieve writes those.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

import orjson

from newsieve.errors import RecordError
from newsieve.records.decode import Headers, RawRecord, header
from newsieve.records.encode import OutRecord
from newsieve_schemas.dead_letter import HEADER_PREFIX

FILTER: Final = f"{HEADER_PREFIX}filter"
ATTEMPTS: Final = f"{HEADER_PREFIX}attempts"
TIMESTAMP: Final = f"{HEADER_PREFIX}timestamp"
KEY_MADE: Final = f"{HEADER_PREFIX}key-made"
LATEST_MILLISECONDS: Final = 2**63 - 1  # that a Kafka timestamp can say
MAX_COUNT_DIGITS: Final = 9
MAX_TIME_DIGITS: Final = 19
MAX_MESSAGE_CHARACTERS: Final = 1_000  # of an error, which may quote its text


class Writer(NamedTuple):
    """The program that writes dead letters, and the topic that it writes them to."""

    topic: str
    group: str
    worker_version: str


class RecordPosition(NamedTuple):
    """The position that an original record was read from."""

    topic: str
    partition: int
    offset: int


def dead_letter(
    record: RawRecord,
    position: RecordPosition,
    error: RecordError,
    filter_name: str | None,
    writer: Writer,
    now: str,
) -> OutRecord:
    """Return the dead letter of one (raw record, filter), or of the whole record where
    `filter_name` is None."""
    reasons = {
        "topic": position.topic,
        "partition": position.partition,
        "offset": position.offset,
        "stage": error.stage,
        "error": error.name,
        "message": str(error)[:MAX_MESSAGE_CHARACTERS],
        "attempts": attempts(record.headers) + 1,
        "failed-at": now,
        "worker-version": writer.worker_version,
        "group": writer.group,
    }
    if filter_name is not None:
        reasons["filter"] = filter_name
    if record.timestamp_ms is not None:
        reasons["timestamp"] = record.timestamp_ms
    key = record.key
    if key is None:  # each letter needs its own, or compaction would drop others of that key
        key = _utf8("/".join(map(str, (*position, *([filter_name] if filter_name else [])))))
        reasons["key-made"] = "true"
    headers = [
        *original_headers(record.headers),
        *((HEADER_PREFIX + name, _utf8(str(value))) for name, value in reasons.items()),
    ]
    return OutRecord(writer.topic, key, record.value, headers)


def dead_letter_line(line: int, error: RecordError) -> bytes:
    """Return the line that `newsieve score` and `tier` print in the place of one that failed."""
    return orjson.dumps(dead_letter_fields(line, error))


def dead_letter_fields(line: int, error: RecordError) -> dict[str, Any]:
    """Return the fields of a DeadLetterLine."""
    return {
        "outcome": "dead_letter",
        "line": line,
        "stage": error.stage,
        "error": error.name,
        "message": str(error)[:MAX_MESSAGE_CHARACTERS],
    }


def original_headers(headers: Headers | None) -> Headers:
    """Return the headers that the record had before newsieve added any."""
    return [
        item
        for item in headers or ()
        # most names do not have it anywhere, which is found out in half the time
        if HEADER_PREFIX not in item[0] or not item[0].startswith(HEADER_PREFIX)
    ]


def replay(record: RawRecord, topic: str) -> OutRecord:
    """Return the record to put back on its topic, with its original key and time."""
    kept = [item for item in record.headers or () if item[0] in (FILTER, ATTEMPTS)]
    headers = [*original_headers(record.headers), *kept]
    key = None if header(record.headers, KEY_MADE) is not None else record.key
    return OutRecord(topic, key, record.value, headers, _original_time(record))


def _original_time(record: RawRecord) -> int | None:
    """Return the original's time, which letters of former versions have as their own."""
    value = header(record.headers, TIMESTAMP)
    is_time = value is not None and value.isdigit() and len(value) <= MAX_TIME_DIGITS
    said = int(value or 0) if is_time else None
    return record.timestamp_ms if said is None else min(said, LATEST_MILLISECONDS)


def attempts(headers: Headers | None) -> int:
    """Return how often this record has failed already."""
    value = header(headers, ATTEMPTS)
    is_count = value is not None and value.isdigit() and len(value) <= MAX_COUNT_DIGITS
    return int(value or 0) if is_count else 0


def only_filter(headers: Headers | None, catalogue: Collection[str]) -> str | None:
    """Return the only filter that a replayed record is for; None where the header names no filter
    of the registry, so that the record is for all filters."""
    value = header(headers, FILTER)
    name = value.decode("utf-8", "replace") if value is not None else None
    return name if name in catalogue else None


def explanation(headers: Headers | None) -> Mapping[str, Any]:
    """Return the `dlq.*` headers as text, by their names without the prefix."""
    return {
        key.removeprefix(HEADER_PREFIX): (value or b"").decode("utf-8", "replace")
        for key, value in headers or ()
        if key.startswith(HEADER_PREFIX)
    }


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")
