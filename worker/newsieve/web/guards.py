"""What every request to `newsieve serve` passes before it reaches a route: host, client's rate,
size and rights.

Plain ASGI, since answers may be streams without end. It knows no route but those of signing in.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from newsieve.settings.serve import ServeSettings
from newsieve.web.access import Access, Visitor, is_bearer
from newsieve.web.error_pages import API_PATHS, error_response
from newsieve.web.guarded import BODY_SECONDS, Guarded, Requested, refused_body
from newsieve.web.host_names import name_of, served_names
from newsieve.web.problems import HttpError

MOST_CLIENTS: Final = 10_000  # whose rates are remembered
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_PATHS: Final = ("/sign-in", "/static/")
FEEDS: Final = "/feeds/"
BASIC_CHALLENGE: Final = 'Basic realm="newsieve: any user, the token as password", charset="UTF-8"'
OPEN_SECONDS: Final = 10.0  # until a client may try again that has too many requests open
SIGN_INS_PER_MINUTE: Final = 20


class RateLimit:
    """A token bucket for each client: so many requests a minute, as many of them at once."""

    def __init__(self, per_minute: int, now: Callable[[], float] = time.monotonic) -> None:
        self._capacity = per_minute
        self._now = now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_seconds(self, client: str) -> float:
        """Take a token. Returns 0, or how long the client should wait for one."""
        now = self._now()
        left, seen = self._buckets.pop(client, (float(self._capacity), now))
        left = min(left + (now - seen) * self._capacity / 60, self._capacity)
        wait = 0.0 if left >= 1 else (1 - left) * 60 / self._capacity
        self._buckets[client] = (left if wait else left - 1, now)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return wait


class Guards:
    """The ASGI middleware. `requested` is told of each answer: the route's pattern, its status, and
    the seconds until its first byte."""

    def __init__(
        self,
        app: ASGIApp,
        settings: ServeSettings,
        access: Access,
        requested: Requested,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        """A body has `body_seconds` to come, and more for each of its bytes."""
        self._guarded = Guarded(app, self._refusal, requested, settings.body_bytes, body_seconds)
        self._settings = settings
        self._access = access
        self._rate = RateLimit(settings.requests_per_minute)
        self._sign_ins = RateLimit(SIGN_INS_PER_MINUTE)
        self._hosts = served_names(settings.host, settings.hosts, settings.url)
        self._open = Counter[str]()  # requests that are being answered, by client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on. Whatever it answers has the headers of safety."""
        if scope["type"] != "http":
            await self._guarded(scope, receive, send)
            return
        client = self._client_of(scope)
        scope.setdefault("state", {})["client"] = client
        self._open[client] += 1
        try:
            await self._guarded(scope, receive, send)
        finally:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]

    def _client_of(self, scope: Scope) -> str:
        """Return whose rate a request counts for."""
        request = Request(scope)
        forwarded = request.headers.getlist("x-forwarded-for")
        return self._access.client_of(forwarded, _peer(request))

    def _refusal(self, scope: Scope) -> Response | None:
        """Return why a request goes no further, None where it does; the visitor is then in its
        state."""
        request = Request(scope)
        headers = request.headers
        client = scope["state"]["client"]
        if self._hosts and name_of(headers.get("host", "")) not in self._hosts:
            return self._refused(request, 421, "this host name is not served here: see serve.hosts")
        if wait := self._wait_seconds(request, client):
            detail = f"too many requests from {client}: wait {wait:.1f} s"
            return self._refused(request, 429, detail, {"retry-after": str(int(wait) + 1)})
        if refused := refused_body(request, self._settings.body_bytes):
            return error_response(request, refused, self._access)
        visitor = self._access.visitor(headers, request.cookies, _peer(request))
        scope["state"]["visitor"] = visitor
        if not (visitor.may_read or request.url.path.startswith(OPEN_PATHS)):
            return self._unauthorised(request)
        if not self._is_of_ours(headers, request.method):
            return self._refused(request, 403, "the request comes from a page of another site")
        return None

    def _is_of_ours(self, headers: Headers, method: str) -> bool:
        """Return whether a request that changes something comes from a page of ours, or from no
        page. A page of another site can make a browser send its cookies, or reach a server that is
        open to this machine; a bearer token it would have to know."""
        origin = headers.get("origin")
        if method in SAFE or origin is None or is_bearer(headers):
            return True
        ours = {headers.get("host", "").lower(), urlsplit(self._settings.url or "").netloc.lower()}
        return _netloc(origin) in ours - {""}

    def _unauthorised(self, request: Request) -> Response:
        if request.method in SAFE and not request.url.path.startswith(API_PATHS):
            wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/sign-in?next={quote(wanted, safe='')}", 303)
        # A browser asks for a password where Basic is named: only feed readers are to do so.
        scheme = BASIC_CHALLENGE if request.url.path.startswith(FEEDS) else "Bearer"
        detail = "send `Authorization: Bearer TOKEN`, or the token as a password, or sign in"
        return self._refused(request, 401, detail, {"www-authenticate": scheme})

    def _refused(
        self, request: Request, status: int, detail: str, headers: dict[str, str] | None = None
    ) -> Response:
        return error_response(request, HttpError(status, detail, headers), self._access)

    def _wait_seconds(self, request: Request, client: str) -> float:
        if self._open[client] > max(self._settings.streams // 2, 1):
            return OPEN_SECONDS  # others want some streams, too
        wait = self._rate.wait_seconds(client)
        if request.method == "POST" and request.url.path == "/sign-in":
            wait = max(wait, self._sign_ins.wait_seconds(client))
        return wait


def visitor_of(request: Request) -> Visitor:
    """Return who makes a request that passed the guards."""
    visitor: Visitor = request.state.visitor
    return visitor


def _peer(request: Request) -> str:
    """Return the address of a connection."""
    return request.client.host if request.client is not None else ""


def _netloc(origin: str) -> str:
    """Return an origin's host and port; "" for what is no origin, such as `null`."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
