"""Takes the article out of newsieve's own records, where somebody gives them for raw articles.

It sees by the fields alone which topic a record came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from newsieve.errors import InvalidContent
from newsieve.records.json_lines import read_object

# Only our records have both in them; others' need not be parsed twice.
_MARKS: Final = (b'"article"', b'"content_hash"')


def own_record(line: bytes) -> dict[str, Any] | None:
    """The record, if the line is a ScoredArticle, TieredArticle, OracleRequest or OracleScore.
    Raises DecodeError."""
    if not all(mark in line for mark in _MARKS):
        return None
    facts = read_object(line)
    article = facts.get("article")
    is_ours = type(article) is dict and "content_hash" in article and "filter" in facts
    return facts if is_ours else None


def has_text(record: Mapping[str, Any]) -> bool:
    """Whether the record has its article's content, which is null where the article is a title
    alone."""
    return "content" in record["article"]


def article_line(line: bytes) -> bytes:
    """The raw article in one of our records, and any other line as it is.

    Raises InvalidContent for a record without the text: its title alone is another article.
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
