"""Refusals of HTTP requests as problem details (RFC 9457), whatever in a request they are about.

Routers take `ProblemRoute` for their routes; then their own refusals and those of FastAPI's
validation leave as `application/problem+json`. It knows no endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

PROBLEM_JSON: Final = "application/problem+json"
MOST_MESSAGES: Final = 5  # of a request with many mistakes
MOST_CHARACTERS: Final = 1_000  # of a detail, which may quote the request

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Problem(BaseModel):
    """Problem details of RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(
        "about:blank", description="Always about:blank: the status says what kind of problem it is."
    )
    title: str = Field(description="The name of the HTTP status.")
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="What is wrong, and what to do.")


class HttpError(HTTPException):
    """A request is refused. `str(error)` is a sentence for people; `members` are further fields of
    the problem details."""

    headers: Mapping[str, str]

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.status = status
        self.members = members

    def __str__(self) -> str:
        return self.detail


class ProblemRoute(APIRoute):
    """A route whose refusals are problem details."""

    def get_route_handler(self) -> Handler:
        """Return the route's handler, which answers instead of raising a refusal."""
        return answering(
            super().get_route_handler(), problem_response, HTTPStatus.UNPROCESSABLE_ENTITY
        )


def answering(
    handler: Handler, answer: Callable[[HttpError], Response], invalid_status: int
) -> Handler:
    """Return a handler that answers a refusal by a response; `invalid_status` is that of parameters
    that are not valid."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except RequestValidationError as error:
            return answer(HttpError(invalid_status, messages_of(error.errors())))
        except HttpError as error:
            return answer(error)

    return handle


def problem_response(error: HttpError) -> Response:
    """Return the response that refuses a request."""
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": str(error)[:MOST_CHARACTERS],
        **error.members,
    }
    return Response(orjson.dumps(problem), error.status, error.headers, PROBLEM_JSON)


def messages_of(errors: Sequence[Any]) -> str:
    """Return what pydantic says of a request that is not valid, which names each place."""
    return "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}"
        for item in errors[:MOST_MESSAGES]
    )


def usual_problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of refusals whose status says enough."""
    return problem_responses({status: HTTPStatus(status).phrase for status in statuses})


def problem_responses(descriptions: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of refusals with these statuses, and of any other."""
    content = {PROBLEM_JSON: {"schema": Problem.model_json_schema()}}
    named: dict[int | str, str] = {"default": "The request is refused."}
    named.update(descriptions.items())
    return {status: {"description": text, "content": content} for status, text in named.items()}
