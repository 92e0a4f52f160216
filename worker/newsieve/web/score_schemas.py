"""What OpenAPI says of the bodies of `POST /v1/score`, in both directions."""

from __future__ import annotations

from typing import Any, Final

from newsieve.web.article_schemas import ARTICLE, JSON, JSON_LINES
from newsieve.web.score_service import ScoreLimits

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
