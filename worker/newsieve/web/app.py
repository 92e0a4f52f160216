"""The application: all routes behind one set of guards, and what errors mean over HTTP.

It knows no route's content.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.types import ASGIApp

import newsieve
from newsieve.errors import NewsieveError, WrongUsage
from newsieve.store.reader import QueryTooSlow
from newsieve.web.access import Access
from newsieve.web.error_handlers import explain_errors
from newsieve.web.error_pages import error_response
from newsieve.web.guarded import BODY_SECONDS, Requested
from newsieve.web.guards import Guards
from newsieve.web.problems import HttpError, usual_problems
from newsieve.web.site import Site

TITLE: Final = "newsieve"
DOCUMENTED: Final = ("/v1/", "/v2", "/feeds/")  # what programs use; the rest are pages
ANYWHERE: Final = (401, 403, 413, 421, 429, 500)  # the answers of the guards, and of a fault
SECURITY_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "For feed readers: any user, the token as the password. It reads only.",
    },
}


def make_app(
    site: Site,
    routers: Sequence[APIRouter],
    requested: Requested,
    running: Callable[[], AbstractAsyncContextManager[None]],
    body_seconds: float = BODY_SECONDS,
) -> ASGIApp:
    """Return the application of these routers. `requested` is told of each answer; `running` is
    entered while the application runs; a request's body has `body_seconds` to come."""
    app = FastAPI(
        title=TITLE,
        summary="Scored news articles: lists, streams, feeds, and scoring on demand.",
        version=newsieve.__version__,
        docs_url=None,  # a page of scripts from elsewhere; /openapi.json is for tools
        redoc_url=None,
        lifespan=lambda _: running(),
    )
    for router in routers:
        _hide_pages(router)
        app.include_router(router, responses=usual_problems(*ANYWHERE))
    _explain_errors(app, site.access)
    app.openapi = _openapi_of(app, site.access)  # type: ignore[method-assign]  # as FastAPI's manual has it
    return Guards(app, site.settings.serve, site.access, requested, body_seconds)


def _hide_pages(router: APIRouter) -> None:
    """Leave pages for people out of the OpenAPI document."""
    for route in router.routes:
        if isinstance(route, APIRoute) and not route.path.startswith(DOCUMENTED):
            route.include_in_schema = False


def _explain_errors(app: FastAPI, access: Access) -> None:
    """Answer each kind of error in a form that a client understands."""
    explain_errors(
        app,
        lambda request, error: error_response(request, error, access),
        {
            WrongUsage: lambda error: HttpError(422, str(error)),
            QueryTooSlow: lambda error: HttpError(503, str(error), {"retry-after": "5"}),
            NewsieveError: lambda _: HttpError(503, "the store, or what fills it, does not answer"),
        },
    )


def _openapi_of(app: FastAPI, access: Access) -> Callable[[], dict[str, Any]]:
    """Return what makes the OpenAPI document, with the summary of all, and what opens a server that
    is not open to everybody."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title, version=app.version, summary=app.summary, routes=app.routes
            )
            if not access.is_open:
                document["components"]["securitySchemes"] = SECURITY_SCHEMES
                document["security"] = [{name: []} for name in SECURITY_SCHEMES]
            app.openapi_schema = document
        return app.openapi_schema

    return openapi
