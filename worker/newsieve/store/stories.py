"""Which texts of the store are copies of one story: their sketches, the bands by which copies are
looked up, and the name of each story.

It knows no outcomes but those that name a story which an earlier version of the store left unnamed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from newsieve.filters.rendering import render
from newsieve.filters.story_sketch import SKETCH_BYTES, bands, sketch

# Which sketches a store has is in its header, where no earlier version wrote anything; while they
# are made anew, the number below.
SKETCHES: Final = 2
UNDER_WAY: Final = 1
BATCH_TEXTS: Final = 100  # in memory, and in a transaction, while sketches are made anew

Transaction = Callable[[], AbstractContextManager[None]]


def add_bands(connection: sqlite3.Connection, text_id: int, keys: Sequence[int]) -> None:
    """Let copies find this text by these keys."""
    connection.executemany(
        "INSERT OR IGNORE INTO story_bands VALUES (?, ?)", [(key, text_id) for key in keys]
    )


def remove_bands(connection: sqlite3.Connection, text_id: int, bins: bytes) -> None:
    """Let no copy find this text, which has this sketch."""
    connection.executemany(
        "DELETE FROM story_bands WHERE band = ? AND text_id = ?",
        [(key, text_id) for key in bands(bins)],
    )


def drop_story(connection: sqlite3.Connection, story: int) -> None:
    """Forget the name of a story that no text belongs to any more."""
    connection.execute(
        "DELETE FROM stories WHERE id = ? AND NOT EXISTS (SELECT 1 FROM texts WHERE story = ?)",
        (story, story),
    )


def update_sketches(connection: sqlite3.Connection, transaction: Transaction) -> None:
    """Make the sketches and bands of all texts anew where they are another version's, and name the
    stories; which texts are one story stays. It takes some two minutes for 300,000 texts, goes
    on where it was interrupted, and needs room for one batch at a time."""
    version = connection.execute("PRAGMA application_id").fetchone()[0]
    if version == SKETCHES:
        return
    if version != UNDER_WAY:
        with transaction():
            connection.execute("DELETE FROM story_bands")
            _name_stories(connection)
            connection.execute(f"PRAGMA application_id = {UNDER_WAY}")
    last = 0
    while batch := _texts_to_update(connection, last):
        with transaction():
            for text_id, is_whole, title, content in batch:
                bins = sketch(render(title, content))
                connection.execute("UPDATE texts SET sketch = ? WHERE id = ?", (bins, text_id))
                if is_whole:
                    add_bands(connection, text_id, bands(bins))
        last = batch[-1][0]
    with transaction():
        connection.execute(f"PRAGMA application_id = {SKETCHES}")


def _texts_to_update(connection: sqlite3.Connection, last: int) -> list[tuple[Any, ...]]:
    """Return the next texts behind the last one whose sketches have another version's length."""
    return connection.execute(
        "SELECT id, is_whole, title, content FROM texts WHERE id > ? AND length(sketch) != ? "
        "ORDER BY id LIMIT ?",
        (last, SKETCH_BYTES, BATCH_TEXTS),
    ).fetchall()


def _name_stories(connection: sqlite3.Connection) -> None:
    """Give each story the id of the first of its articles that has an outcome."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS stories (id INTEGER PRIMARY KEY, article_id TEXT NOT NULL)"
    )
    connection.execute(
        "INSERT OR IGNORE INTO stories SELECT story, article_id FROM outcomes "
        "ORDER BY story, text_id, id"
    )
