"""Writes rows into the store, together with the offsets behind them: both are there, or neither.

So whatever kills the program, each record is in the store once. It knows no topic by name. One
thread writes.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from newsieve.errors import StoreFailed, Transient
from newsieve.filters.rendering import joined
from newsieve.filters.story_sketch import are_alike, bands, sketch
from newsieve.store.rows import (
    AlertRow,
    CanaryRow,
    LabelRow,
    LetterRow,
    OutcomeRow,
    ReplayRow,
    Row,
    TextRow,
)
from newsieve.store.schema import open_to_write
from newsieve.store.stories import add_bands, drop_story, update_sketches
from newsieve.store.words import searchable

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
# The newest texts of a band that are looked at: most are copies, if it is no phrase of thousands.
MOST_CANDIDATES: Final = 8

PRIMARY_CODE: Final = 0xFF  # of SQLite's extended error codes
PASSING: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL)

Partition = tuple[str, int]


class TextIds(NamedTuple):
    """A text's row, and the story it belongs to."""

    text_id: int
    story: int


class StoreWriter:
    """The one writer of a store. Close it."""

    def __init__(self, path: Path) -> None:
        """Open the store, and make it where there is none. Raises StoreFailed, also where another
        process fills it."""
        try:
            self._lock = path.open("ab")
        except OSError as error:
            raise StoreFailed(
                f"cannot use {path} as the store of pages: {error.strerror}"
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.connection = open_to_write(path)
        except BlockingIOError:
            self._lock.close()
            raise StoreFailed(f"{path} is filled by another `newsieve serve`: stop one") from None
        except StoreFailed:
            self._lock.close()
            raise
        self._execute = self.connection.execute
        try:
            update_sketches(self.connection, self.transaction)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file, so that another process may fill it."""
        self.connection.close()
        self._lock.close()

    def positions(self) -> dict[Partition, int]:
        """Return the offset behind the last record of each partition that is in the store."""
        found = self._execute("SELECT topic, partition, next_offset FROM positions")
        return {(topic, partition): offset for topic, partition, offset in found}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block writes, or nothing of it. Raises StoreFailed, or Transient where
        another process has the file, or the disk is full."""
        try:
            self._execute("BEGIN IMMEDIATE")
            try:
                yield
                self._execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self._execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE in PASSING:
                raise Transient(f"the store of pages cannot be written now: {error}") from None
            raise StoreFailed(f"the store of pages cannot be written: {error}") from None

    def write(self, rows: Sequence[Row], offsets: Mapping[Partition, int]) -> None:
        """Write rows in order, and the offsets behind them, in one transaction. A row that is there
        already changes nothing. Raises StoreFailed."""
        with self.transaction():
            for row in rows:
                self._write(row)
            self.connection.executemany(
                "INSERT INTO positions VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
                "SET next_offset = excluded.next_offset",
                [(*partition, offset) for partition, offset in offsets.items()],
            )

    def _write(self, row: Row) -> None:
        match row:
            case TextRow():
                self._text(row, is_whole=True)
            case OutcomeRow():
                self._outcome(row)
            case LabelRow():
                self._label(row)
            case LetterRow():
                self._execute(
                    "INSERT OR IGNORE INTO letters (partition, offset, stage, error, message, "
                    "filter, failed_ms, key, value, headers) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    row,
                )
            case AlertRow():
                self._execute(
                    "INSERT OR IGNORE INTO alerts (fact, incident_id, filter, raised_ms, record) "
                    "VALUES (?, ?, ?, ?, ?)",
                    row,
                )
            case ReplayRow():
                self._execute("INSERT OR REPLACE INTO replays VALUES (?, ?)", row)
            case CanaryRow():
                self._execute("INSERT OR REPLACE INTO canaries VALUES (?, ?, ?)", row)

    def _text(self, row: TextRow, *, is_whole: bool) -> TextIds:
        """Return a text's row, which is made where there is none. The title stands for a text that
        has not come, and may never come."""
        known = self._execute(
            "SELECT id, story, is_whole, title, content, came_ms FROM texts WHERE content_hash = ?",
            (row.content_hash,),
        ).fetchone()
        if known is not None and row.came_ms - known[5] > DAY_MS:  # it is in use again
            self._execute("UPDATE texts SET came_ms = ? WHERE id = ?", (row.came_ms, known[0]))
        if known is not None and (known[2] or not is_whole):
            return TextIds(known[0], known[1])
        bins = sketch(joined(row.title or "", row.content or ""))  # both are rendered
        keys = bands(bins)
        story = self._story_of(bins, keys) if is_whole else None
        if known is not None:
            text_id = known[0]
            remove_from_index(self.connection, text_id, known[3], known[4])
            self._execute(
                "UPDATE texts SET is_whole = 1, story = ?, title = ?, content = ?, sketch = ? "
                "WHERE id = ?",
                (story or text_id, row.title, row.content, bins, text_id),
            )
            self._move(text_id, known[1], story or text_id)
        else:
            cursor = self._execute(
                "INSERT INTO texts (content_hash, story, came_ms, is_whole, title, content, "
                "sketch) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (row.content_hash, story or 0, row.came_ms, is_whole, *row[1:3], bins),
            )
            text_id = int(cursor.lastrowid or 0)
            if story is None:
                self._execute("UPDATE texts SET story = id WHERE id = ?", (text_id,))
                self._execute("INSERT INTO stories VALUES (?, ?)", (text_id, row.article_id))
        if is_whole:
            add_bands(self.connection, text_id, keys)
        self._execute(
            "INSERT INTO search (rowid, title, content) VALUES (?, ?, ?)",
            (text_id, searchable(row.title), searchable(row.content)),
        )
        return TextIds(text_id, story or text_id)

    def _story_of(self, bins: bytes, keys: Sequence[int]) -> int | None:
        """Return the story of a text that this one is a copy of; None where there is none."""
        candidates = {
            row[0]
            for key in keys
            for row in self._execute(
                "SELECT text_id FROM story_bands WHERE band = ? ORDER BY text_id DESC LIMIT ?",
                (key, MOST_CANDIDATES),
            )
        }
        for text_id in sorted(candidates, reverse=True):
            story, others = self._execute(
                "SELECT story, sketch FROM texts WHERE id = ?", (text_id,)
            ).fetchone()
            if are_alike(others, bins):
                return int(story)
        return None

    def _move(self, text_id: int, former: int, story: int) -> None:
        """Put a text's outcomes beside their copies, once its story is known."""
        if former != story:
            self._execute("UPDATE outcomes SET story = ? WHERE text_id = ?", (story, text_id))
            drop_story(self.connection, former)
            fold(self.connection, [former, story])

    def _outcome(self, row: OutcomeRow) -> None:
        known = self._execute("SELECT 1 FROM outcomes WHERE fact = ?", (row.fact,)).fetchone()
        if known is not None:
            return
        title = TextRow(row.content_hash, row.title, None, row.scored_ms, row.article_id)
        text_id, story = self._text(title, is_whole=False)
        original = self._execute(
            "SELECT id FROM outcomes WHERE story = ? AND filter = ? AND tier = ? AND is_listed",
            (story, row.filter, row.tier),
        ).fetchone()
        if original is not None:
            self._execute("UPDATE outcomes SET copies = copies + 1 WHERE id = ?", original)
        cursor = self._execute(
            "INSERT INTO outcomes (fact, text_id, story, is_listed, filter, tier, score, source, "
            "language, article_id, dated_ms, scored_ms, latency_ms, record) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (row.fact, text_id, story, original is None, *row[3:]),
        )
        superseded = self._execute(
            "UPDATE outcomes SET superseded_by = ? WHERE text_id = ? AND filter = ? "
            "AND article_id = ? AND id != ? AND superseded_by IS NULL",
            (cursor.lastrowid, text_id, row.filter, row.article_id, cursor.lastrowid),
        )
        if superseded.rowcount:
            fold(self.connection, [story])
        self._execute(
            "INSERT INTO tallies VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1",
            (row.filter, row.tier, row.scored_ms // HOUR_MS),
        )

    def _label(self, row: LabelRow) -> None:
        title = TextRow(row.content_hash, row.title, None, row.labelled_ms, row.article_id)
        text_id, _ = self._text(title, is_whole=False)
        self._execute(
            "INSERT OR IGNORE INTO labels (fact, text_id, filter, oracle, labelled_ms, record) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (row.fact, text_id, row.filter, row.oracle, row.labelled_ms, row.record),
        )


def fold(connection: sqlite3.Connection, stories: Iterable[int]) -> None:
    """List the first outcome of each of these stories, by filter and tier, and count the others as
    its copies. An outcome that a newer decision has superseded is neither."""
    for story in stories:
        connection.execute(
            "UPDATE outcomes SET is_listed = 0, copies = 0 "
            "WHERE story = ? AND is_listed AND superseded_by IS NOT NULL",
            (story,),
        )
        rows = connection.execute(
            "SELECT id, filter, tier, is_listed, copies FROM outcomes "
            "WHERE story = ? AND superseded_by IS NULL ORDER BY filter, tier, id",
            (story,),
        ).fetchall()
        for _, group in groupby(rows, key=lambda row: row[1:3]):
            ids = list(group)
            wanted = [(True, len(ids) - 1), *[(False, 0)] * (len(ids) - 1)]
            connection.executemany(
                "UPDATE outcomes SET is_listed = ?, copies = ? WHERE id = ?",
                [
                    (*new, row[0])
                    for new, row in zip(wanted, ids, strict=True)
                    if new != (bool(row[3]), row[4])
                ],
            )


def remove_from_index(
    connection: sqlite3.Connection, text_id: int, title: str | None, content: str | None
) -> None:
    """Take a text out of the search index, which keeps no copy and has to be told what was in."""
    connection.execute(
        "INSERT INTO search (search, rowid, title, content) VALUES ('delete', ?, ?, ?)",
        (text_id, searchable(title), searchable(content)),
    )
