"""The application of `newsieve ingest http`: `POST /articles` behind its guard, and its OpenAPI.

It knows neither Kafka nor what an article is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Scope

import newsieve
from newsieve.web.article_schemas import JSON
from newsieve.web.error_handlers import explain_errors
from newsieve.web.guarded import BODY_SECONDS, Guarded, Requested, refused_body
from newsieve.web.host_names import name_of, served_names
from newsieve.web.ingest_access import IngestAccess
from newsieve.web.ingest_schemas import (
    BEARER_SCHEME,
    SIGNATURE_SCHEME,
    Accepted,
    refusals,
    request_body,
)
from newsieve.web.ingest_service import Delivery, IngestService, broken_off, not_in_time
from newsieve.web.problems import HttpError, ProblemRoute, problem_response
from newsieve.web.request_body import CLIENT_GONE, media_type_of, read_body, unless_gone

OPEN_PATH: Final = "/openapi.json"  # it says nothing of what is sent


def make_ingest_app(
    service: IngestService,
    access: IngestAccess,
    host: str,
    hosts: Sequence[str],
    requested: Requested,
    body_seconds: float = BODY_SECONDS,
) -> ASGIApp:
    """Return the application. `host` is the address that it listens on, `hosts` are further names
    that requests may be for; `requested` is told of each answer; a body has `body_seconds` to
    come, and more for each of its bytes."""

    @asynccontextmanager
    async def running(_: FastAPI) -> Any:
        yield
        service.close()

    app = FastAPI(
        title="newsieve ingest",
        summary="Takes articles onto the raw topic, all of a request in one transaction.",
        version=newsieve.__version__,
        docs_url=None,  # a page of scripts from elsewhere; /openapi.json is for tools
        redoc_url=None,
        lifespan=running,
    )
    app.include_router(_router(service, access))
    explain_errors(app, lambda _, error: problem_response(error), {})
    app.openapi = _openapi_of(app, access)  # type: ignore[method-assign]  # as FastAPI's manual has it
    refuse = _refuse(access, served_names(host, hosts), service.limits.body_bytes)
    return Guarded(app, refuse, requested, service.limits.body_bytes, body_seconds)


def _refuse(
    access: IngestAccess, names: frozenset[str], body_bytes: int
) -> Callable[[Scope], Response | None]:
    """Return what refuses requests by their heads alone."""

    def refusal(request: Request) -> HttpError | None:
        headers = request.headers
        if names and name_of(headers.get("host", "")) not in names:
            detail = "this host name is not served here: see ingest.http_hosts"
            return HttpError(HTTPStatus.MISDIRECTED_REQUEST, detail)
        if request.url.path == OPEN_PATH:
            return None
        if access.is_open and "origin" in headers:  # some site's page, in a browser here
            return HttpError(HTTPStatus.FORBIDDEN, "the request comes from a web page")
        if not (access.is_open or access.has_token(headers) or access.may_be_signed(headers)):
            return _unauthorised(access)
        return refused_body(request, body_bytes)

    def refuse(scope: Scope) -> Response | None:
        refused = refusal(Request(scope))
        return None if refused is None else problem_response(refused)

    return refuse


def _unauthorised(access: IngestAccess) -> HttpError:
    detail = (
        "send `Authorization: Bearer TOKEN`, or a body signed with ingest.http_secret"
        if access.takes_token
        else "the body is not signed with ingest.http_secret (X-Miniflux-Signature)"
    )
    return HttpError(HTTPStatus.UNAUTHORIZED, detail, {"WWW-Authenticate": "Bearer"})


def _router(service: IngestService, access: IngestAccess) -> APIRouter:
    router = APIRouter(route_class=ProblemRoute)

    @router.post(
        "/articles",
        operation_id="send_articles",
        summary="Put one article, or many, on the raw topic",
        status_code=HTTPStatus.ACCEPTED,
        response_model=Accepted,
        response_description="All articles are committed: nothing loses them now.",
        responses=refusals(),
        openapi_extra={"requestBody": request_body(service.limits)},
    )
    async def articles(request: Request) -> Any:
        """Answers when all articles of the request are committed, in one transaction. Where one of
        them would be a dead letter, none is published, and the answer names those that are bad."""
        return await _answer(request, service, access)

    return router


async def _answer(request: Request, service: IngestService, access: IngestAccess) -> Response:
    """Take the articles of a request, within the deadline. Raises HttpError."""
    seconds, delivery = service.limits.deadline_seconds, Delivery()

    async def work(body: bytes) -> Response:
        ids = await service.take(request.headers, media_type_of(request), body, counted, delivery)
        accepted = Accepted(accepted=len(ids), ids=ids)
        return Response(accepted.model_dump_json(), HTTPStatus.ACCEPTED, media_type=JSON)

    try:
        async with asyncio.timeout(seconds):
            service.admit()
            with service.queue.body() as counted:
                body = await read_body(request, counted, service.limits.body_bytes)
                _require_signature(request, access, body)
                return await unless_gone(request, work(body))
    except TimeoutError:
        raise not_in_time(delivery, seconds) from None
    except ClientDisconnect:
        return Response(status_code=CLIENT_GONE)
    except asyncio.CancelledError:  # the HTTP server does, with what is not done when it stops
        raise broken_off(delivery) from None


def _require_signature(request: Request, access: IngestAccess, body: bytes) -> None:
    """Raise HttpError for a body that nobody who may has sent."""
    if access.is_open or access.has_token(request.headers):
        return
    if not access.is_signed(request.headers, body):
        raise _unauthorised(access)


def _openapi_of(app: FastAPI, access: IngestAccess) -> Callable[[], dict[str, Any]]:
    """Return what makes the OpenAPI document, with what a server that is not open asks for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title, version=app.version, summary=app.summary, routes=app.routes
            )
            if not access.is_open:
                schemes: dict[str, Any] = {}
                if access.takes_token:
                    schemes["bearer"] = BEARER_SCHEME
                if access.takes_signature:
                    schemes["signature"] = SIGNATURE_SCHEME
                document.setdefault("components", {})["securitySchemes"] = schemes
                document["security"] = [{name: []} for name in schemes]
            app.openapi_schema = document
        return app.openapi_schema

    return openapi
