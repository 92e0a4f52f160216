"""What errors of an application mean over HTTP, whatever form a client reads them in.

It knows no route.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from newsieve.stream.logs import get_logger
from newsieve.web.problems import HttpError, messages_of

Answer = Callable[[Request, HttpError], Response]

_log = get_logger("serve")


def explain_errors(
    app: FastAPI,
    answer: Answer,
    kinds: Mapping[type[Exception], Callable[[Any], HttpError]],
) -> None:
    """Let an application answer each kind of error. `answer` gives a refusal its form; `kinds` says
    which refusal an error of a kind is, beside those that every application knows."""

    def register(kind: type[Exception], refusal_of: Callable[[Any], HttpError]) -> None:
        async def handle(request: Request, error: Exception) -> Response:
            if not isinstance(error, HttpError | HTTPException | RequestValidationError):
                _log.warning("request.failed", path=request.url.path, reason=str(error)[:500])
            return answer(request, refusal_of(error))

        app.add_exception_handler(kind, handle)

    register(HttpError, lambda error: error)
    register(
        HTTPException,
        lambda error: HttpError(error.status_code, _said(error), dict(error.headers or {})),
    )
    register(RequestValidationError, lambda error: HttpError(422, messages_of(error.errors())))
    for kind, refusal_of in kinds.items():
        register(kind, refusal_of)
    register(Exception, lambda _: HttpError(500, "a fault of newsieve's: see its log"))


def _said(error: HTTPException) -> str:
    if error.status_code == 404:  # noqa: PLR2004 - as it says
        return "there is no such page"
    return str(error.detail)
