"""Signing in with a token, and out again: a form that sets a cookie.

It knows neither what may be read nor who asks for what.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from newsieve.web.access import COOKIE, SESSION_SECONDS
from newsieve.web.forms import read_form
from newsieve.web.layout import Layout
from newsieve.web.site import Site

HOME: Final = "/"


def sign_in_pages(site: Site, layout: Layout) -> APIRouter:
    """Return the routes of signing in and out."""
    router = APIRouter(include_in_schema=False)
    access = site.access

    def form(request: Request, wanted: str, problem: str = "", status: int = 200) -> Response:
        return layout.page(
            request,
            "sign_in.html",
            status,
            next=wanted,
            problem=problem,
            asks_for_name=access.can_review,
        )

    @router.get("/sign-in")
    async def ask(request: Request) -> Response:
        """Ask for a token."""
        return form(request, local_address(request.query_params.get("next", HOME)))

    @router.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        """Take a token, and set the cookie."""
        fields = await read_form(request)
        wanted = local_address(fields.get("next", HOME))
        right = access.right_of(fields.get("token", "").strip())
        if right is None:
            return form(request, wanted, "This token is not known here.", 403)
        answer = RedirectResponse(wanted, 303)
        answer.set_cookie(
            COOKIE,
            access.session_cookie(right, fields.get("name", "").strip() or None),
            max_age=SESSION_SECONDS,
            path="/",
            secure=_is_https(request, site),
            httponly=True,
            samesite="strict",
        )
        return answer

    @router.post("/sign-out")
    async def sign_out() -> Response:
        """Forget who is signed in."""
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return answer

    return router


def local_address(address: str) -> str:
    """Return an address of this site, and the first page's for any other: `//host` and `/\\host`
    lead elsewhere."""
    is_local = address.startswith("/") and not address.startswith("//") and "\\" not in address
    return address if is_local and address.isprintable() and address.isascii() else HOME


def _is_https(request: Request, site: Site) -> bool:
    """Return whether the browser came by https, as far as anybody says."""
    url = site.settings.serve.url
    peer = request.client.host if request.client is not None else ""
    forwarded = request.headers.get("x-forwarded-proto", "") if site.access.is_proxy(peer) else ""
    return (
        forwarded.lower() == "https"
        or request.url.scheme == "https"
        or (url is not None and urlsplit(url).scheme == "https")
    )
