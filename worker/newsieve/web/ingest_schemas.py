"""What OpenAPI says of `POST /articles`: its bodies, its answers, and who may send.

JSON Lines are text to OpenAPI, and the headers of a CloudEvent in binary mode, or of Miniflux,
change what a body is: both are told in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, Field

from newsieve.web.article_schemas import ARTICLE, JSON, JSON_LINES
from newsieve.web.ingest_bodies import EVENT, EVENT_BATCH
from newsieve.web.ingest_service import IngestLimits
from newsieve.web.problems import problem_responses

REFUSALS: Final[Mapping[int, str]] = {
    HTTPStatus.BAD_REQUEST: "The body is damaged, or a CloudEvent lacks an attribute.",
    HTTPStatus.UNAUTHORIZED: "Neither the token, nor a body that is signed with the secret.",
    HTTPStatus.FORBIDDEN: "The request comes from a web page.",
    HTTPStatus.REQUEST_TIMEOUT: "The body did not come in time.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body has too many bytes or articles.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body has another form, or another compression.",
    HTTPStatus.MISDIRECTED_REQUEST: "The request is for a host name that is not served here.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Articles would be dead letters: none of the request is "
    "published. `errors` has the first of them, each with `index` (from 0), of JSON Lines `line` "
    "(from 1), `error` and `message`; `errors_total` says how many there are.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too much waits to be committed: send again later.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "A fault of newsieve's.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not committed in time, the broker is away, or the program "
    "stops. `detail` says whether nothing was published or nobody knows. In both cases send again: "
    "the same article twice is told by subscribers (`ce_id`).",
}
RETRY_AFTER: Final = {
    "Retry-After": {
        "description": "Seconds until it is worth another try.",
        "schema": {"type": "integer", "minimum": 1},
    }
}
BEARER_SCHEME: Final = {"type": "http", "scheme": "bearer"}
SIGNATURE_SCHEME: Final = {
    "type": "apiKey",
    "in": "header",
    "name": "X-Miniflux-Signature",
    "description": "HMAC-SHA256 of the body as it is sent, in hexadecimal digits.",
}
CLOUD_EVENT: Final[dict[str, Any]] = {
    "title": "CloudEvent",
    "type": "object",
    "description": "An event in structured mode; `data_base64` is read where there is no `data`.",
    "required": ["specversion", "id", "source", "type", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1},
        "type": {"type": "string", "minLength": 1},
        "data": ARTICLE,
    },
}


class Accepted(BaseModel):
    """Names the articles of a request, all of which are committed."""

    accepted: int = Field(ge=0, description="How many articles.")
    ids: list[str] = Field(description="Their ids, in their order: the keys of their records.")


def request_body(limits: IngestLimits) -> dict[str, Any]:
    """Return what OpenAPI says of the body of a request."""
    lines = {
        "type": "string",
        "description": "A raw article on each line. Blank lines are skipped but counted. Other "
        f"names of the type are taken too: {', '.join(JSON_LINES[1:])}.",
    }
    return {
        "required": True,
        "description": f"At most {limits.body_bytes:,} bytes and {limits.articles:,} articles; may "
        "be `Content-Encoding: gzip` or `zstd`. With the headers of a CloudEvent in binary mode "
        "(`ce-specversion` and so on) a JSON body is its data; with `X-Miniflux-Event-Type` it is "
        "what Miniflux's webhook sends.",
        "content": {
            JSON: {"schema": {"anyOf": [ARTICLE, _many(ARTICLE)]}},
            JSON_LINES[0]: {"schema": lines},
            EVENT: {"schema": CLOUD_EVENT},
            EVENT_BATCH: {"schema": _many(CLOUD_EVENT)},
        },
    }


def _many(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def refusals() -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of all answers but 202."""
    responses = problem_responses(REFUSALS)
    for status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        responses[status]["headers"] = RETRY_AFTER
    return responses
