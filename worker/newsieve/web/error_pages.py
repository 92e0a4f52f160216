"""Errors over HTTP: as a page for browsers, as problem details for programs.

It knows no route.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from newsieve.web.access import Access
from newsieve.web.layout import Layout
from newsieve.web.problems import MOST_CHARACTERS, HttpError, problem_response

API_PATHS: Final = ("/v1/", "/v2", "/openapi.json", "/feeds/", "/stream", "/static/")


def error_response(request: Request, error: HttpError, access: Access) -> Response:
    """Return the answer that refuses a request, in the form that its sender reads."""
    accepted = request.headers.get("accept", "")
    if request.url.path.startswith(API_PATHS) or "text/html" not in accepted:
        return problem_response(error)
    status = HTTPStatus(error.status)
    page = Layout(access).page(
        request,
        "error.html",
        status,
        reason=status.phrase,
        code=status.value,
        detail=str(error)[:MOST_CHARACTERS],
    )
    page.headers.update(error.headers)
    return page
