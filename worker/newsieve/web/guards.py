"""What every request passes before it reaches a route: host, client's rate, size, rights; and the
headers that every answer has.

Plain ASGI, since answers may be streams without end. It knows no route but those of signing in.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from newsieve.settings.serve import ServeSettings
from newsieve.web.access import Access, Visitor, is_bearer
from newsieve.web.error_pages import API_PATHS, error_response
from newsieve.web.problems import HttpError

BODY_SECONDS: Final = 30.0  # for a request's body, and more for each of its bytes:
LEAST_BYTES_PER_SECOND: Final = 10_000
MOST_CLIENTS: Final = 10_000  # whose rates are remembered
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_PATHS: Final = ("/sign-in", "/static/")
FEEDS: Final = "/feeds/"
BASIC_CHALLENGE: Final = 'Basic realm="newsieve: any user, the token as password", charset="UTF-8"'
LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
ANY_HOST: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - to compare with
OPEN_SECONDS: Final = 10.0  # until a client may try again that has too many requests open
SIGN_INS_PER_MINUTE: Final = 20
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with no-referrer, forms of ours would have no origin
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}

Requested = Callable[[str, int, float], None]


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
        self._app = app
        self._body_seconds = body_seconds
        self._settings = settings
        self._access = access
        self._requested = requested
        self._rate = RateLimit(settings.requests_per_minute)
        self._sign_ins = RateLimit(SIGN_INS_PER_MINUTE)
        self._hosts = _hosts(settings)
        self._open = Counter[str]()  # requests that are being answered, by client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on. Whatever it answers has the headers of safety."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.monotonic()

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-cache")
                route = getattr(scope.get("route"), "path", "other")
                self._requested(route, message["status"], time.monotonic() - begun)
            await send(message)

        refused = self._refusal(scope)
        exchange = _Exchange(receive, send_guarded, self._settings.body_bytes, self._body_seconds)
        send_answer = exchange.send
        if scope["method"] == "HEAD":  # whatever can be got has a head
            scope = {**scope, "method": "GET"}
            send_answer = exchange.send_head
        client = scope["state"]["client"]
        self._open[client] += 1
        try:
            await (refused or self._app)(scope, exchange.receive, send_answer)
        finally:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]

    def _refusal(self, scope: Scope) -> Response | None:
        """Return why a request goes no further, None where it does; the visitor is then in its
        state."""
        request = Request(scope)
        headers = request.headers
        peer = request.client.host if request.client is not None else ""
        client = self._access.client_of(headers.getlist("x-forwarded-for"), peer)
        scope.setdefault("state", {})["client"] = client
        if self._hosts and _name(headers.get("host", "")) not in self._hosts:
            return self._refused(request, 421, "this host name is not served here: see serve.hosts")
        if wait := self._wait_seconds(request, client):
            detail = f"too many requests from {client}: wait {wait:.1f} s"
            return self._refused(request, 429, detail, {"retry-after": str(int(wait) + 1)})
        if refused := self._refused_body(request):
            return refused
        visitor = self._access.visitor(headers, request.cookies, peer)
        scope["state"]["visitor"] = visitor
        if not (visitor.may_read or request.url.path.startswith(OPEN_PATHS)):
            return self._unauthorised(request)
        if not self._is_of_ours(headers, request.method):
            return self._refused(request, 403, "the request comes from a page of another site")
        return None

    def _refused_body(self, request: Request) -> Response | None:
        """Return why a body is not read, from what the request says of it."""
        announced = request.headers.get("content-length", "")
        if announced and "transfer-encoding" in request.headers:
            # a proxy may see another end of the body than we do, and behind it a request
            detail = "a body has one of Content-Length and Transfer-Encoding"
            return self._refused(request, 400, detail, {"connection": "close"})
        if announced.isdecimal() and int(announced) > self._settings.body_bytes:
            return self._refused(request, 413, _too_long(self._settings.body_bytes))
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
        if self._open[client] >= max(self._settings.streams // 2, 1):
            return OPEN_SECONDS  # others want some streams, too
        wait = self._rate.wait_seconds(client)
        if request.method == "POST" and request.url.path == "/sign-in":
            wait = max(wait, self._sign_ins.wait_seconds(client))
        return wait


def visitor_of(request: Request) -> Visitor:
    """Return who makes a request that passed the guards."""
    visitor: Visitor = request.state.visitor
    return visitor


def _netloc(origin: str) -> str:
    """Return an origin's host and port; "" for what is no origin, such as `null`."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _hosts(settings: ServeSettings) -> frozenset[str]:
    """Return the names that requests may be for; empty for any, where tokens are what protects."""
    named = {item.lower() for item in settings.hosts}
    if settings.url is not None:
        named.add((urlsplit(settings.url).hostname or "").lower())
    if settings.host in ANY_HOST:
        return frozenset(named | LOCAL_NAMES) if named else frozenset()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return frozenset(named | LOCAL_NAMES | {host.lower()})


def _name(host: str) -> str:
    """Return a Host header without its port."""
    name, _, port = host.rpartition(":")
    return (name if name and port.isdigit() else host).lower()


def _too_long(most_bytes: int) -> str:
    return f"a body has at most {most_bytes:,} bytes"


class _Exchange:
    """A request's body, whose length and time are bounded, and the answer to it."""

    def __init__(self, receive: Receive, send: Send, most_bytes: int, body_seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._body_seconds = body_seconds
        self._most_bytes = most_bytes
        self._received = 0
        self._is_whole = False
        self._is_answered = False  # at least its beginning is sent
        self._is_over = False
        self._begun = time.monotonic()

    async def receive(self) -> Message:
        """Return the next part of the body. Raises HttpError for a body that is too long, or comes
        too slowly; once an answer has begun, such a client counts as gone."""
        if self._is_over:
            return {"type": "http.disconnect"}
        if self._is_whole:  # what comes now is the client's leaving
            return await self._receive()
        try:
            message = await self._part()
        except HttpError:
            if self._is_answered:
                return {"type": "http.disconnect"}
            raise
        self._is_whole = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        self._is_answered = True
        await self._send(message)

    async def send_head(self, message: Message) -> None:
        """Send the head of the answer, and no body: an answer without end is over with it."""
        if self._is_over:
            return
        self._is_answered = True
        await self._send(message)
        if message["type"] == "http.response.start":
            self._is_over = True
            await self._send({"type": "http.response.body", "body": b""})

    async def _part(self) -> Message:
        allowed = self._body_seconds + self._received / LEAST_BYTES_PER_SECOND
        left = self._begun + allowed - time.monotonic()
        part = asyncio.ensure_future(self._receive())
        try:
            await asyncio.wait({part}, timeout=max(left, 0))
            if not part.done():  # what has come is taken, however late we are
                raise HttpError(408, f"the body did not come within {allowed:.0f} s")
            message = part.result()
        finally:
            part.cancel()
        self._received += len(message.get("body", b""))
        if self._received > self._most_bytes:
            raise HttpError(413, _too_long(self._most_bytes))
        return message
