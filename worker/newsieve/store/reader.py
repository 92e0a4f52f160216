"""Reads the store, from any thread: each has a connection of its own.

No answer takes longer than a limit: a search that finds too little for its length is broken off
with QueryTooSlow. It knows no HTTP.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from newsieve.errors import StoreFailed, Unavailable
from newsieve.store.queries import (
    COLUMNS,
    MOST_ROWS,
    ArticleQuery,
    Statement,
    after_statement,
    articles_statement,
    rare_source_statement,
    search_statement,
)
from newsieve.store.schema import open_to_read

ANY: Final = ArticleQuery()
QUERY_SECONDS: Final = 3.0
SEARCHES: Final = 4  # at a time: more would keep all else from the processors
FEW_OUTCOMES: Final = 1_000  # whose texts are looked into one by one, 0.1 ms each
STEPS_BETWEEN_LOOKS: Final = 20_000  # of SQLite's machine: about a millisecond
_OUTCOME: Final = f"SELECT {COLUMNS} FROM outcomes o"  # noqa: S608 - names alone


class QueryTooSlow(Unavailable):
    """A question to the store took longer than its limit; a narrower one may not."""


class StoredOutcome(NamedTuple):
    """An outcome as the store has it. `record` is the ScoredArticle's bytes, `copies` the number
    of other outcomes of the same story, filter and tier, `fact` the record's ce_id,
    `first_article` the id of the story's first article."""

    id: int
    text_id: int
    story: int
    is_listed: bool
    copies: int
    filter: str
    tier: str
    score: float | None
    source: str | None
    language: str | None
    record: bytes
    fact: bytes
    dated_ms: int
    scored_ms: int
    first_article: str


class ArticlePage(NamedTuple):
    """A page of a list, and the cursor of the next one; None at the end."""

    outcomes: list[StoredOutcome]
    next: str | None


class StoredLabel(NamedTuple):
    """An oracle's label of a text for a filter. `record` is the OracleScore's bytes."""

    text_id: int
    filter: str
    oracle: str
    record: bytes


class StoreReader:
    """Answers questions about what is in a store."""

    def __init__(self, path: Path, query_seconds: float = QUERY_SECONDS) -> None:
        """The store has to exist. `query_seconds` is how long an answer may take."""
        self._path = path
        self._seconds = query_seconds
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._searches = threading.BoundedSemaphore(SEARCHES)

    def close(self) -> None:
        """Close the connections of all threads, which read no longer."""
        while self._opened:
            self._opened.pop().close()
        self._local = threading.local()

    def articles(self, query: ArticleQuery) -> ArticlePage:
        """Return a page of listed outcomes, each story once. Raises WrongUsage for what is no
        cursor, and, as all methods do, QueryTooSlow or StoreFailed."""
        if query.text is None or not query.text.strip():
            return self._page(articles_statement(query), query)
        if not self._searches.acquire(timeout=self._seconds / 10):
            raise QueryTooSlow("too many searches at a time: try again")
        try:
            statement = _search_statement(self, query)
            return ArticlePage([], None) if statement is None else self._page(statement, query)
        finally:
            self._searches.release()

    def _page(self, statement: Statement, query: ArticleQuery) -> ArticlePage:
        limit = min(max(query.limit, 1), MOST_ROWS)
        page: dict[int, StoredOutcome] = {}
        place = None
        try:
            with self._cursor(statement.sql, statement.values) as rows:
                for row in rows:
                    if len(page) >= limit and row["place"] != place:
                        return ArticlePage(list(page.values()), str(place))
                    place = row["place"]
                    page[row["id"]] = _outcome(row)
        except QueryTooSlow:
            if place is None:
                raise
            return ArticlePage(list(page.values()), str(place))  # what there was time for
        return ArticlePage(list(page.values()), None)

    def outcome(self, outcome_id: int) -> StoredOutcome | None:
        """Return one outcome, listed or not; None where it is not there (any more)."""
        rows = self.rows(f"{_OUTCOME} WHERE id = ?", [outcome_id])
        return _outcome(rows[0]) if rows else None

    def outcomes_of_text(self, text_id: int) -> list[StoredOutcome]:
        """Return the outcomes of one text, the newest first."""
        rows = self.rows(f"{_OUTCOME} WHERE text_id = ? ORDER BY id DESC LIMIT 50", [text_id])
        return [_outcome(row) for row in rows]

    def outcomes_of_article(self, article_id: str) -> list[StoredOutcome]:
        """Return the outcomes of one article by its id, the newest first."""
        sql = f"{_OUTCOME} WHERE article_id = ? ORDER BY id DESC LIMIT 200"
        rows = self.rows(sql, [article_id])
        return [_outcome(row) for row in rows]

    def copies(self, outcome: StoredOutcome, limit: int = 100) -> list[StoredOutcome]:
        """Return the other outcomes of the story, of the same filter and tier, oldest first."""
        rows = self.rows(
            f"{_OUTCOME} WHERE story = ? AND filter = ? AND tier = ? AND id != ? "
            "AND superseded_by IS NULL ORDER BY id LIMIT ?",
            [outcome.story, outcome.filter, outcome.tier, outcome.id, limit],
        )
        return [_outcome(row) for row in rows]

    def outcomes_after(
        self, outcome_id: int, limit: int, query: ArticleQuery = ANY, until: int | None = None
    ) -> list[StoredOutcome]:
        """Return the listed outcomes from one to another, oldest first; `query` without a text."""
        statement = after_statement(query, outcome_id, limit, until)
        return [_outcome(row) for row in self.rows(statement.sql, statement.values)]

    def last_outcome(self) -> int:
        """Return the id of the newest outcome, 0 where there is none."""
        return int(self.rows("SELECT ifnull(max(id), 0) FROM outcomes")[0][0])

    def content(self, text_id: int, most_characters: int = 2**30) -> str | None:
        """Return a text's content; None where there is none, or it has not come."""
        sql = "SELECT substr(content, 1, ?) FROM texts WHERE id = ?"
        rows = self.rows(sql, [most_characters, text_id])
        return rows[0][0] if rows else None

    def labels(self, text_ids: Sequence[int], filter_name: str | None = None) -> list[StoredLabel]:
        """Return the labels of these texts, each text's newest first."""
        places = ", ".join("?" * len(text_ids))
        condition = "" if filter_name is None else " AND filter = ?"
        rows = self.rows(
            f"SELECT text_id, filter, oracle, record FROM labels WHERE text_id IN ({places})"  # noqa: S608 - marks alone
            f"{condition} ORDER BY labelled_ms DESC, id DESC LIMIT 1000",
            [*text_ids, *([] if filter_name is None else [filter_name])],
        )
        return [StoredLabel(*row) for row in rows]

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return the rows of a statement, for the modules of this package."""
        with self._cursor(sql, values) as rows:
            return rows.fetchall()

    @contextmanager
    def _cursor(self, sql: str, values: Sequence[Any]) -> Iterator[sqlite3.Cursor]:
        try:
            connection = self._connection()
            with _limit(connection, self._seconds), closing(connection.cursor()) as cursor:
                yield cursor.execute(sql, values)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                raise QueryTooSlow(
                    f"the question took more than {self._seconds:g} s: ask for less"
                ) from None
            raise StoreFailed(f"the store of pages cannot be read: {error}") from None

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = open_to_read(self._path)
            self._opened.append(connection)
        return connection


def _search_statement(reader: StoreReader, query: ArticleQuery) -> Statement | None:
    if query.source is None:
        return search_statement(query)
    few = reader.rows(
        "SELECT 1 FROM outcomes WHERE is_listed AND source = ? LIMIT ?",
        [query.source, FEW_OUTCOMES + 1],
    )
    is_rare = len(few) <= FEW_OUTCOMES
    return rare_source_statement(query) if is_rare else search_statement(query)


@contextmanager
def _limit(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """Break the statements of the block off when they take longer."""
    end = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > end, STEPS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


def _outcome(row: sqlite3.Row) -> StoredOutcome:
    return StoredOutcome._make((*row[:3], bool(row[3]), *row[4:15]))
