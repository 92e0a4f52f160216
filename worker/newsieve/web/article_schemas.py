"""What OpenAPI says of a raw article that a request brings, and the types of bodies that have some.

A raw article's optional fields may be anything: what is of a wrong type counts as null. That is why
its schema here says less than that of RawArticle, which is for those who write articles.
"""

from __future__ import annotations

from typing import Any, Final

from newsieve_schemas.article import (
    CONTENT_NAMES,
    MAX_ID_CHARACTERS,
    MAX_TITLE_CHARACTERS,
    TITLE_NAMES,
)

JSON: Final = "application/json"
JSON_LINES: Final = ("application/x-ndjson", "application/jsonl", "application/ndjson")
# Something to read: neither white space nor a mark, nor a character that nobody sees.
READABLE: Final = {"type": "string", "pattern": r"[^\s\p{Z}\p{C}\p{M}]"}
TITLE: Final = {"type": ["string", "null"], "maxLength": MAX_TITLE_CHARACTERS}
ARTICLE: Final[dict[str, Any]] = {
    "title": "RawArticle",
    "type": "object",
    "description": "A raw article, or a CloudEvent with one. Optional fields that are not valid "
    "count as null; further ones are passed over.",
    "properties": {
        "id": {
            "anyOf": [
                {"type": "string", "maxLength": MAX_ID_CHARACTERS},
                {"type": "integer"},
                {"type": "null"},
            ]
        },
        "title": TITLE,
        "content": {"type": ["string", "null"]},
        "text": {"description": "Read when `content` has nothing to read."},
        "body": {"description": "Read when `content` and `text` have nothing to read."},
        "url": {},
        "source": {},
        "language": {},
        "published_at": {},
        "tags": {},
        **{
            name: {"description": "Another name: docs/how-to/feed.md has them all."}
            for name in (*TITLE_NAMES[1:], *CONTENT_NAMES[3:])
        },
    },
    "anyOf": [
        {"required": [name], "properties": {name: READABLE}}
        for name in (*TITLE_NAMES, *CONTENT_NAMES)
    ],
    "examples": [
        {
            "id": "a1",
            "title": "A village opens a library",
            "content": "It has 4,000 books, given by the neighbours.",
            "language": "en",
        }
    ],
}
