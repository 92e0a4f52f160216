"""Takes the article out of newsieve's own records, where a user gives them for raw articles.

It tells by a record's fields alone which kind of record it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from newsieve.errors import InvalidContent
from newsieve.records.json_lines import read_object

# Only newsieve's records have both in them; all others need not be parsed twice.
_MARKS: Final = (b'"article"', b'"content_hash"')


def own_record(line: bytes) -> dict[str, Any] | None:
    """Return the record, if the line is a ScoredArticle, TieredArticle, OracleRequest or
    OracleScore, and None otherwise. Raises DecodeError."""
    if not all(mark in line for mark in _MARKS):
        return None
    facts = read_object(line)
    article = facts.get("article")
    is_ours = type(article) is dict and "content_hash" in article and "filter" in facts
    return facts if is_ours else None


def has_text(record: Mapping[str, Any]) -> bool:
    """Say whether the record has its article's content, which is null where the article is a title
    alone."""
    return "content" in record["article"]


def article_line(line: bytes) -> bytes:
    """Return the raw article in one of newsieve's records, and any other line as it is.

    Raises InvalidContent for a record without the text, whose title alone is another article.
    """
    record = own_record(line)
    if record is None:
        return line
    if not has_text(record):
        kind = "an OracleScore" if "oracle_scores" in record else "a ScoredArticle"
        raise InvalidContent(
            f"{kind} has no content: take the record of the same article from "
            "articles.oracle.requests or from its tier's topic, or the article as it came in"
        )
    return orjson.dumps(record["article"])
