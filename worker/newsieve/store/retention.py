"""Removes what is too old from the store, or what makes it too large, the oldest first.

An outcome goes by when it was scored; a text goes when no outcome and no label is left of it. What
people said of articles stays. It knows no topic.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final, NamedTuple

from newsieve.store.schema import store_bytes
from newsieve.store.stories import drop_story, remove_bands
from newsieve.store.writer import HOUR_MS, StoreWriter, fold, remove_from_index

BATCH_ROWS: Final = 1_000  # in a transaction: whoever collects waits for no more
FREED_PAGES: Final = 2_000  # given back to the file system with each batch
# Of the search index, which frees the room of removed texts only where it merges: so many of its
# pages are merged after each batch that makes room, some 16 MB.
MERGED_PAGES: Final = 4_000
ANY_AGE_MS: Final = 2**62


class Retention(NamedTuple):
    """How long, and up to which size, the store keeps what comes from topics."""

    milliseconds: int
    bytes: int


def remove_expired(writer: StoreWriter, path: Path, retention: Retention, now_ms: int) -> int:
    """Remove one batch of what is kept no longer, and return how many rows went: 0 when there is
    nothing more to remove. Raises StoreFailed."""
    removed = _remove(writer, now_ms - retention.milliseconds)
    if removed == 0 and store_bytes(path) > retention.bytes:
        removed = _remove(writer, _oldest_batch_ms(writer.connection, now_ms))
        with writer.transaction():
            writer.connection.execute(
                "INSERT INTO search (search, rank) VALUES ('merge', ?)", (-MERGED_PAGES,)
            )
    return removed


def _oldest_batch_ms(connection: sqlite3.Connection, now_ms: int) -> int:
    """Return the time before which about a batch of outcomes was scored; what came within the last
    hour stays, since its outcomes may be on their way."""
    oldest = connection.execute(
        "SELECT max(scored_ms) FROM (SELECT scored_ms FROM outcomes ORDER BY scored_ms LIMIT ?)",
        (BATCH_ROWS,),
    ).fetchone()[0]
    return min(ANY_AGE_MS if oldest is None else oldest + 1, now_ms - HOUR_MS)


def _remove(writer: StoreWriter, before_ms: int) -> int:
    connection = writer.connection
    with writer.transaction():
        removed = _remove_outcomes(connection, before_ms)
        for table, column in (("labels", "labelled_ms"), ("letters", "failed_ms")):
            removed += connection.execute(
                f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} "  # noqa: S608 - names alone
                f"WHERE {column} < ? ORDER BY {column} LIMIT ?)",
                (before_ms, BATCH_ROWS),
            ).rowcount
        removed += _remove_texts(connection, before_ms)
        connection.execute("DELETE FROM tallies WHERE hour < ?", (before_ms // HOUR_MS,))
        connection.execute("DELETE FROM alerts WHERE raised_ms < ?", (before_ms,))
    if removed:
        connection.execute(f"PRAGMA incremental_vacuum({FREED_PAGES})").fetchall()
    return removed


def _remove_outcomes(connection: sqlite3.Connection, before_ms: int) -> int:
    """Remove the oldest outcomes. A story whose listed outcome goes has the next one listed."""
    rows = connection.execute(
        "SELECT id, story, copies FROM outcomes WHERE scored_ms < ? ORDER BY scored_ms LIMIT ?",
        (before_ms, BATCH_ROWS),
    ).fetchall()
    connection.executemany("DELETE FROM outcomes WHERE id = ?", [(row[0],) for row in rows])
    fold(connection, {row[1] for row in rows if row[2]})
    return len(rows)


def _remove_texts(connection: sqlite3.Connection, before_ms: int) -> int:
    """Remove the oldest texts that nothing is about any more."""
    rows = connection.execute(
        "SELECT id, title, content, sketch, story FROM texts t WHERE came_ms < ? "
        "AND NOT EXISTS (SELECT 1 FROM outcomes o WHERE o.text_id = t.id) "
        "AND NOT EXISTS (SELECT 1 FROM labels l WHERE l.text_id = t.id) "
        "ORDER BY came_ms LIMIT ?",
        (before_ms, BATCH_ROWS),
    ).fetchall()
    for text_id, title, content, sketch, story in rows:
        remove_from_index(connection, text_id, title, content)
        remove_bands(connection, text_id, sketch)
        connection.execute("DELETE FROM texts WHERE id = ?", (text_id,))
        drop_story(connection, story)
    return len(rows)
