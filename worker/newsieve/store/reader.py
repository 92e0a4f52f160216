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

import orjson

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
FEW_OUTCOMES: Final = 1_000  # whose texts are looked into one by one, 0.1 ms each
STEPS_BETWEEN_LOOKS: Final = 20_000  # of SQLite's machine: about a millisecond
_OUTCOME: Final = f"SELECT {COLUMNS} FROM outcomes o"  # noqa: S608 - names alone


class QueryTooSlow(Unavailable):
    """A question to the store took longer than its limit; a narrower one may not."""


class StoredOutcome(NamedTuple):
    """An outcome as the store has it. `record` is the ScoredArticle's bytes, `copies` the number
    of other outcomes of the same story, filter and tier, `fact` the record's ce_id."""

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


class Tally(NamedTuple):
    """How many outcomes of a tier came in an hour, which is counted since 1970."""

    filter: str
    tier: str
    hour: int
    outcomes: int


class StoreReader:
    """Answers questions about what is in a store."""

    def __init__(self, path: Path, query_seconds: float = QUERY_SECONDS) -> None:
        """The store has to exist. `query_seconds` is how long an answer may take."""
        self._path = path
        self._seconds = query_seconds
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []

    def close(self) -> None:
        """Close the connections of all threads, which read no longer."""
        while self._opened:
            self._opened.pop().close()
        self._local = threading.local()

    def articles(self, query: ArticleQuery) -> ArticlePage:
        """Return a page of listed outcomes, each story once. Raises WrongUsage for what is no
        cursor, and, as all methods do, QueryTooSlow or StoreFailed."""
        statement = self._statement(query)
        if statement is None:
            return ArticlePage([], None)
        limit = min(max(query.limit, 1), MOST_ROWS)
        page: dict[int, StoredOutcome] = {}
        place = None
        with self._cursor(statement.sql, statement.values) as rows:
            for row in rows:
                if len(page) >= limit and row["place"] != place:
                    return ArticlePage(list(page.values()), str(place))
                place = row["place"]
                page[row["id"]] = _outcome(row)
        return ArticlePage(list(page.values()), None)

    def _statement(self, query: ArticleQuery) -> Statement | None:
        if query.text is None or not query.text.strip():
            return articles_statement(query)
        if query.source is None:
            return search_statement(query)
        few = self.rows(
            "SELECT 1 FROM outcomes WHERE is_listed AND source = ? LIMIT ?",
            [query.source, FEW_OUTCOMES + 1],
        )
        is_rare = len(few) <= FEW_OUTCOMES
        return rare_source_statement(query) if is_rare else search_statement(query)

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
            f"{_OUTCOME} WHERE story = ? AND filter = ? AND tier = ? AND id != ? ORDER BY id "
            "LIMIT ?",
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

    def letters(self, before: int | None = None, limit: int = 50) -> list[StoredLetter]:
        """Return dead letters, the newest first, those before an id."""
        sql = "SELECT * FROM letters WHERE id < ? ORDER BY id DESC LIMIT ?"
        rows = self.rows(sql, [2**62 if before is None else before, limit])
        return self._letters(rows)

    def letter(self, letter_id: int) -> StoredLetter | None:
        """Return one dead letter; None where it is not there (any more)."""
        rows = self.rows("SELECT * FROM letters WHERE id = ?", [letter_id])
        return self._letters(rows)[0] if rows else None

    def letter_counts(self) -> list[tuple[str, str, str | None, int]]:
        """Return how many dead letters there are by stage, error and filter, the most first."""
        rows = self.rows(
            "SELECT stage, error, filter, count(*) AS letters FROM letters "
            "GROUP BY 1, 2, 3 ORDER BY letters DESC LIMIT 100"
        )
        return [(row[0], row[1], row[2], row[3]) for row in rows]

    def alerts(self, limit: int = 200) -> list[bytes]:
        """Return the records of the newest DriftAlerts, the newest first."""
        rows = self.rows("SELECT record FROM alerts ORDER BY id DESC LIMIT ?", [limit])
        return [row[0] for row in rows]

    def incident(self, incident_id: str) -> list[bytes]:
        """Return the records of an incident's DriftAlerts, oldest first."""
        sql = "SELECT record FROM alerts WHERE incident_id = ? ORDER BY id LIMIT 1000"
        return [row[0] for row in self.rows(sql, [incident_id])]

    def canaries(self) -> list[bytes]:
        """Return the latest CanaryReport of each filter's students."""
        return [row[0] for row in self.rows("SELECT record FROM canaries ORDER BY filter")]

    def tallies(self, since_hour: int) -> list[Tally]:
        """Return the counts of each tier and hour, from an hour on."""
        sql = "SELECT filter, tier, hour, count FROM tallies WHERE hour >= ? ORDER BY hour"
        rows = self.rows(sql, [since_hour])
        return [Tally(*row) for row in rows]

    def recent_latencies(self, limit: int = 1_000) -> list[tuple[int, int]]:
        """Return when the newest outcomes were scored, in milliseconds since 1970, and how long
        after their raw records they were published, in milliseconds."""
        rows = self.rows(
            "SELECT scored_ms, latency_ms FROM outcomes WHERE id > "
            "(SELECT ifnull(max(id), 0) FROM outcomes) - ? AND latency_ms IS NOT NULL",
            [limit],
        )
        return [(row[0], row[1]) for row in rows]

    def recent_values(self, column: str, limit: int = 2_000) -> list[str]:
        """Return the sources, or languages, of the newest outcomes, the most frequent first."""
        if column not in {"source", "language"}:
            raise ValueError(column)
        rows = self.rows(
            f"SELECT {column}, count(*) AS times FROM outcomes WHERE id > "  # noqa: S608 - one of two
            f"(SELECT ifnull(max(id), 0) FROM outcomes) - ? AND {column} IS NOT NULL "
            "GROUP BY 1 ORDER BY times DESC LIMIT 100",
            [limit],
        )
        return [row[0] for row in rows]

    def positions(self) -> dict[tuple[str, int], int]:
        """Return the offset behind the last record of each partition that is in the store."""
        rows = self.rows("SELECT topic, partition, next_offset FROM positions")
        return {(row[0], row[1]): row[2] for row in rows}

    def _letters(self, rows: Sequence[sqlite3.Row]) -> list[StoredLetter]:
        ranges = {row[0]: orjson.loads(row[1]) for row in self.rows("SELECT * FROM replays")}

        def is_replayed(row: sqlite3.Row) -> bool:
            put_back = ranges.get(row["partition"], ())
            return any(first <= row["offset"] <= last for first, last in put_back)

        return [StoredLetter._make((*row[:8], is_replayed(row), *row[8:])) for row in rows]

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
    return StoredOutcome._make((*row[:3], bool(row[3]), *row[4:14]))
