"""What is asked of the store, and the SQL that answers: articles, dead letters, incidents, counts.

Every list is in pages by a cursor, the newest first, and no answer takes longer than a limit. It
knows no HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from newsieve.errors import WrongUsage
from newsieve.store.words import match_expression

MOST_ROWS: Final = 200  # of a page
COLUMNS: Final = (
    "o.id, o.text_id, o.story, o.is_listed, o.copies, o.filter, o.tier, o.score, o.source, "
    "o.language, o.record"
)
_CURSOR: Final = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class ArticleQuery:
    """Which outcomes are wanted; None: any. `text` is what a reader typed, `before` the cursor of
    the page before."""

    filter: str | None = None
    tier: str | None = None
    text: str | None = None
    source: str | None = None
    language: str | None = None
    min_score: float | None = None
    max_score: float | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    before: str | None = None
    limit: int = 50

    def conditions(self) -> Iterator[tuple[str, Any]]:
        """Yield each condition on an outcome, with its value."""
        wanted = {
            "o.filter = ?": self.filter,
            "o.tier = ?": self.tier,
            "o.source = ?": self.source,
            "o.language = ?": self.language,
            "o.score >= ?": self.min_score,
            "o.score <= ?": self.max_score,
            "o.dated_ms >= ?": self.since_ms,
            "o.dated_ms < ?": self.until_ms,
        }
        yield from ((condition, value) for condition, value in wanted.items() if value is not None)


class Statement(NamedTuple):
    """A statement and its values. Each row has its place in the list as `place`; rows of one place
    belong together. It ends by itself at no number of rows."""

    sql: str
    values: list[Any]


def articles_statement(query: ArticleQuery) -> Statement | None:
    """Return the statement that lists outcomes; None where the text has no word to look for.

    A search gives the newest texts first, and all else the newest outcomes. Raises WrongUsage for
    what is no cursor.
    """
    conditions = ["o.is_listed"]
    values: list[Any] = []
    for condition, value in query.conditions():
        conditions.append(condition)
        values.append(value)
    is_search = query.text is not None and query.text.strip() != ""
    place = "s.rowid" if is_search else "o.id"
    if query.before is not None:
        conditions.append(f"{place} < ?")
        values.append(_cursor(query.before))
    tables = "outcomes o"
    if is_search:
        expression = match_expression(query.text or "")
        if expression is None:
            return None
        conditions.insert(0, "search MATCH ?")
        values.insert(0, expression)
        tables = (
            "search s CROSS JOIN texts t ON t.id = s.rowid "
            "CROSS JOIN outcomes o ON o.story = t.story"
        )
    # Nothing but the place may be in the order: the rows come one by one, nothing is sorted.
    return Statement(
        f"SELECT {COLUMNS}, {place} AS place FROM {tables} "  # noqa: S608 - names alone
        f"WHERE {' AND '.join(conditions)} ORDER BY {place} DESC",
        values,
    )


def after_statement(query: ArticleQuery, outcome_id: int, limit: int) -> Statement:
    """Return the statement that lists what came after an outcome, oldest first."""
    conditions, values = ["o.is_listed", "o.id > ?"], [outcome_id]
    for condition, value in query.conditions():
        conditions.append(condition)
        values.append(value)
    return Statement(
        f"SELECT {COLUMNS}, o.id AS place FROM outcomes o WHERE {' AND '.join(conditions)} "  # noqa: S608 - names alone
        f"ORDER BY o.id LIMIT {limit}",
        values,
    )


def _cursor(text: str) -> int:
    """Return a cursor's number. Raises WrongUsage."""
    if _CURSOR.fullmatch(text) is None:
        raise WrongUsage(f"{text!r:.80} is no cursor: take `next` of the page before")
    return int(text)
