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
    "o.language, o.record, o.fact, o.dated_ms, o.scored_ms, "
    "ifnull((SELECT n.article_id FROM stories n WHERE n.id = o.story), o.article_id)"
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


def articles_statement(query: ArticleQuery) -> Statement:
    """Return the statement that lists outcomes, the newest first. Raises WrongUsage for what is no
    cursor."""
    conditions, values = _conditions(query, "o.id")
    # Nothing but the place may be in the order: the rows come one by one, nothing is sorted.
    return Statement(
        f"SELECT {COLUMNS}, o.id AS place FROM outcomes o "  # noqa: S608 - names alone
        f"WHERE {' AND '.join(conditions)} ORDER BY o.id DESC",
        values,
    )


def search_statement(query: ArticleQuery) -> Statement | None:
    """Return the statement that lists what a text is found in, the newest texts first; None where
    the text has no word to look for. Raises WrongUsage for what is no cursor."""
    expression = match_expression(query.text or "")
    if expression is None:
        return None
    conditions, values = _conditions(query, "s.rowid")
    return Statement(
        f"SELECT {COLUMNS}, s.rowid AS place FROM search s "  # noqa: S608 - names alone
        "CROSS JOIN texts t ON t.id = s.rowid CROSS JOIN outcomes o ON o.story = t.story "
        f"WHERE search MATCH ? AND {' AND '.join(conditions)} ORDER BY s.rowid DESC",
        [expression, *values],
    )


def rare_source_statement(query: ArticleQuery) -> Statement | None:
    """Return the statement that finds the same where the source has few outcomes: it looks into the
    texts of these, where `search_statement` would walk through all texts with a frequent word."""
    expression = match_expression(query.text or "")
    if expression is None:
        return None
    conditions, values = _conditions(query, "o.text_id")
    return Statement(
        f"SELECT {COLUMNS}, o.text_id AS place FROM outcomes o INDEXED BY listed_by_source "  # noqa: S608 - names alone
        f"WHERE {' AND '.join(conditions)} AND EXISTS (SELECT 1 FROM texts t JOIN search s "
        "ON s.rowid = t.id WHERE t.story = o.story AND search MATCH ?) ORDER BY o.text_id DESC",
        [*values, expression],
    )


def _conditions(query: ArticleQuery, place: str) -> tuple[list[str], list[Any]]:
    conditions, values = ["o.is_listed"], list[Any]()
    for condition, value in query.conditions():
        conditions.append(condition)
        values.append(value)
    if query.before is not None:
        conditions.append(f"{place} < ?")
        values.append(_cursor(query.before))
    return conditions, values


def after_statement(
    query: ArticleQuery, outcome_id: int, limit: int, until: int | None = None
) -> Statement:
    """Return the statement that lists what came after an outcome, until another (None: to the end),
    oldest first."""
    conditions, values = ["o.is_listed", "o.id > ?"], [outcome_id]
    if until is not None:
        conditions.append("o.id <= ?")
        values.append(until)
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
