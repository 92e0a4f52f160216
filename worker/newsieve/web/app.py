"""The application: all routes behind one set of guards, and what errors mean over HTTP.

It knows no route's content.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

import newsieve
from newsieve.errors import NewsieveError, WrongUsage
from newsieve.store.reader import QueryTooSlow
from newsieve.stream.logs import get_logger
from newsieve.web.guards import Guards, Requested
from newsieve.web.problems import HttpError, messages_of, problem_response
from newsieve.web.site import Site

TITLE: Final = "newsieve"

_log = get_logger("serve")


def make_app(
    site: Site,
    routers: Sequence[APIRouter],
    requested: Requested,
    running: Callable[[], AbstractAsyncContextManager[None]],
) -> ASGIApp:
    """Return the application of these routers. `requested` is told of each answer; `running` is
    entered while the application runs."""
    app = FastAPI(
        title=TITLE,
        summary="Scored news articles: lists, streams, feeds, and scoring on demand.",
        version=newsieve.__version__,
        docs_url=None,  # a page of scripts from elsewhere; /openapi.json is for tools
        redoc_url=None,
        lifespan=lambda _: running(),
    )
    for router in routers:
        app.include_router(router)
    _explain_errors(app)
    app.openapi = _openapi_of(app)  # type: ignore[method-assign]  # as FastAPI's manual has it
    return Guards(app, site.settings.serve, site.access, requested)


def _explain_errors(app: FastAPI) -> None:
    """Answer each kind of error with problem details that a client understands."""

    def register(kind: type[Exception], answer: Callable[[Any], Response]) -> None:
        async def handle(request: Request, error: Exception) -> Response:
            if not isinstance(error, HttpError | HTTPException | RequestValidationError):
                _log.warning("request.failed", path=request.url.path, reason=str(error)[:500])
            return answer(error)

        app.add_exception_handler(kind, handle)

    def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
        return problem_response(HttpError(status, detail, headers))

    register(HttpError, problem_response)
    register(
        HTTPException,
        lambda error: problem(error.status_code, _said(error), dict(error.headers or {})),
    )
    register(RequestValidationError, lambda error: problem(422, messages_of(error.errors())))
    register(WrongUsage, lambda error: problem(422, str(error)))
    register(QueryTooSlow, lambda error: problem(503, str(error), {"retry-after": "5"}))
    register(NewsieveError, lambda _: problem(503, "the store, or what fills it, does not answer"))
    register(Exception, lambda _: problem(500, "a fault of newsieve's: see its log"))


def _said(error: HTTPException) -> str:
    if error.status_code == 404:  # noqa: PLR2004 - as it says
        return "there is no such page"
    return str(error.detail)


def _openapi_of(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """Return what makes the OpenAPI document, with the summary of all."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title, version=app.version, summary=app.summary, routes=app.routes
            )
            app.openapi_schema = document
        return app.openapi_schema

    return openapi
