"""What OpenAPI says of the bodies of `POST /v1/score`, in both directions.

A raw article's optional fields may be anything: what is of a wrong type counts as null. That is why
its schema here says less than that of RawArticle, which is for those who write articles.
"""

from __future__ import annotations

from typing import Any, Final

from newsieve.web.score_service import ScoreLimits
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
RETRY_AFTER: Final = {
    "Retry-After": {
        "description": "Seconds, by the recent throughput.",
        "schema": {"type": "integer", "minimum": 1},
    }
}


def request_body(limits: ScoreLimits) -> dict[str, Any]:
    """Return what OpenAPI says of the body of a request."""
    many = {
        "title": "RawArticles",
        "type": "array",
        "items": {},
        "description": f"Raw articles, {limits.articles:,} at most. Elements may be anything: what "
        "is no article gets a DeadLetterLine.",
    }
    lines = {
        "type": "string",
        "description": f"A raw article on each line, {limits.articles:,} at most. Blank lines are "
        f"skipped but counted. Other names of the type are taken too: {', '.join(JSON_LINES[1:])}.",
    }
    return {
        "required": True,
        "description": f"At most {limits.body_bytes:,} bytes.",
        "content": {
            JSON: {"schema": {"anyOf": [ARTICLE, many]}},
            JSON_LINES[0]: {"schema": lines},
        },
    }


def success() -> dict[str, Any]:
    """Return what OpenAPI says of an answer 200, but for that in JSON, which FastAPI knows."""
    lines = {
        "type": "string",
        "description": "A ScoredArticle or a DeadLetterLine on each line, in the order of the "
        "request's; under the request's name of the type.",
    }
    return {
        "description": "The lines that `newsieve score` prints.",
        "content": {JSON_LINES[0]: {"schema": lines}},
    }


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of a pydantic model without references, for where OpenAPI has no
    components of it. No model may contain itself."""
    parts = schema.pop("$defs", {})

    def inline(value: Any) -> Any:
        if isinstance(value, list):
            return [inline(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return inline(parts[value["$ref"].rpartition("/")[2]])
        return {key: inline(item) for key, item in value.items()}

    return {key: inline(item) for key, item in schema.items()}
