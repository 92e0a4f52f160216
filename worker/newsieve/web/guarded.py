"""What every HTTP server of newsieve does with a request, whoever may send it: a body has a size
and a time, an answer has the headers of safety, and its status and time are told.

Plain ASGI, since answers may be streams without end. It knows no route, and nothing of rights.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from newsieve.web.problems import HttpError

BODY_SECONDS: Final = 30.0  # for a request's body, and more for each of its bytes:
LEAST_BYTES_PER_SECOND: Final = 10_000
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
Refuse = Callable[[Scope], Response | None]


class Guarded:
    """The ASGI middleware that hands a request on unless it is refused."""

    def __init__(
        self,
        app: ASGIApp,
        refuse: Refuse,
        requested: Requested,
        body_bytes: int,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        """`refuse` returns the answer to a request that goes no further; `requested` is told of
        each answer: the route's pattern, its status, and the seconds until its first byte. A body
        has `body_seconds` to come, and more for each of its bytes."""
        self._app = app
        self._refuse = refuse
        self._requested = requested
        self._body_bytes = body_bytes
        self._body_seconds = body_seconds

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

        refused = self._refuse(scope)
        exchange = Exchange(receive, send_guarded, self._body_bytes, self._body_seconds)
        send_answer = exchange.send
        if scope["method"] == "HEAD":  # whatever can be got has a head
            scope = {**scope, "method": "GET"}
            send_answer = exchange.send_head
        await (refused or self._app)(scope, exchange.receive, send_answer)


def refused_body(request: Request, most_bytes: int) -> HttpError | None:
    """Return why a body is not read, from what the request says of it; None where it may be."""
    announced = request.headers.get("content-length", "")
    if announced and "transfer-encoding" in request.headers:
        # a proxy may see another end of the body than we do, and behind it a request
        detail = "a body has one of Content-Length and Transfer-Encoding"
        return HttpError(400, detail, {"connection": "close"})
    if announced.isdecimal() and int(announced) > most_bytes:
        return HttpError(413, _too_long(most_bytes))
    return None


def _too_long(most_bytes: int) -> str:
    return f"a body has at most {most_bytes:,} bytes"


class Exchange:
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
