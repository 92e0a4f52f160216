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
from newsieve.web.access import Access
from newsieve.web.error_pages import error_response
from newsieve.web.guards import Guards, Requested
from newsieve.web.problems import HttpError, messages_of
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
    _explain_errors(app, site.access)
    app.openapi = _openapi_of(app)  # type: ignore[method-assign]  # as FastAPI's manual has it
    return Guards(app, site.settings.serve, site.access, requested)


def _explain_errors(app: FastAPI, access: Access) -> None:
    """Answer each kind of error in a form that a client understands."""

    def register(kind: type[Exception], refusal_of: Callable[[Any], HttpError]) -> None:
        async def handle(request: Request, error: Exception) -> Response:
            if not isinstance(error, HttpError | HTTPException | RequestValidationError):
                _log.warning("request.failed", path=request.url.path, reason=str(error)[:500])
            return error_response(request, refusal_of(error), access)

        app.add_exception_handler(kind, handle)

    register(HttpError, lambda error: error)
    register(
        HTTPException,
        lambda error: HttpError(error.status_code, _said(error), dict(error.headers or {})),
    )
    register(RequestValidationError, lambda error: HttpError(422, messages_of(error.errors())))
    register(WrongUsage, lambda error: HttpError(422, str(error)))
    register(QueryTooSlow, lambda error: HttpError(503, str(error), {"retry-after": "5"}))
    register(
        NewsieveError, lambda _: HttpError(503, "the store, or what fills it, does not answer")
    )
    register(Exception, lambda _: HttpError(500, "a fault of newsieve's: see its log"))


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
