"""Dead letters in the store: lists, single ones, counts. It knows no page."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import orjson

from newsieve.store.reader import StoreReader


class StoredLetter(NamedTuple):
    """A dead letter. `value` has the first 256 KiB, `headers` are a JSON object."""

    id: int
    partition: int
    offset: int
    stage: str
    error: str
    message: str
    filter: str | None
    failed_ms: int
    is_replayed: bool
    key: bytes | None
    value: bytes | None
    headers: bytes


def list_letters(
    reader: StoreReader, before: int | None = None, limit: int = 50
) -> list[StoredLetter]:
    """Return dead letters, the newest first, those before an id."""
    sql = "SELECT * FROM letters WHERE id < ? ORDER BY id DESC LIMIT ?"
    return _letters(reader, reader.rows(sql, [2**62 if before is None else before, limit]))


def find_letter(reader: StoreReader, letter_id: int) -> StoredLetter | None:
    """Return one dead letter; None where it is not there (any more)."""
    rows = reader.rows("SELECT * FROM letters WHERE id = ?", [letter_id])
    return _letters(reader, rows)[0] if rows else None


def count_letters(reader: StoreReader) -> list[tuple[str, str, str | None, int]]:
    """Return how many dead letters there are by stage, error and filter, the most first."""
    rows = reader.rows(
        "SELECT stage, error, filter, count(*) AS letters FROM letters "
        "GROUP BY 1, 2, 3 ORDER BY letters DESC LIMIT 100"
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def _letters(reader: StoreReader, rows: Sequence[sqlite3.Row]) -> list[StoredLetter]:
    ranges = {row[0]: orjson.loads(row[1]) for row in reader.rows("SELECT * FROM replays")}

    def is_replayed(row: sqlite3.Row) -> bool:
        put_back = ranges.get(row["partition"], ())
        return any(first <= row["offset"] <= last for first, last in put_back)

    return [StoredLetter._make((*row[:8], is_replayed(row), *row[8:])) for row in rows]
