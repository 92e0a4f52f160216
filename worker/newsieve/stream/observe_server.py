"""Serves /metrics, /livez and /readyz. Health is what the loop does, never whether Kafka answers.

The port opens before anything is loaded, so that whoever probes it can tell a program that starts
from one that is not there. Whoever opens connections and sends nothing, or slowly, changes nothing
for others: a connection is for one request, lives for seconds, and there are only so many. It does
not know what is ready.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from uvicorn.protocols.http.h11_impl import H11Protocol

from newsieve.stream.listener import listen

CONNECTION_SECONDS: Final = 5.0  # from its opening to the end of the answer
MOST_CONNECTIONS: Final = 256  # at a time; honest ones take milliseconds
# Waiting to be accepted, which happens at once: fewer than the above, or a burst of idle ones could
# push out one whose request is on its way.
BACKLOG: Final = 64
MAX_REQUEST_BYTES: Final = 16_384  # with all its headers; a scrape has a few hundred
CLOSE_SECONDS: Final = 2.0  # for the thread to end; nobody waits longer for a scrape under way
TEXT: Final = "text/plain"

Check = Callable[[], bool]
Page = Callable[[], tuple[int, bytes, str]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class ObserveServer:
    """An HTTP server on a thread of its own."""

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        is_live: Check,
        is_ready: Check,
        connection_seconds: float = CONNECTION_SECONDS,
    ) -> None:
        """`connection_seconds` is how long a connection may last. Raises SettingsInvalid when it
        cannot listen there."""
        pages: dict[str, Page] = {
            "/metrics": lambda: (200, generate_latest(registry), CONTENT_TYPE_LATEST),
            "/livez": lambda: _answer(is_live()),
            "/readyz": lambda: _answer(is_ready()),
        }
        listener = listen(host, port, BACKLOG, "observe")
        self.port = int(listener.getsockname()[1])
        self._server = uvicorn.Server(_config(pages, connection_seconds))
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="observe", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and end the thread."""
        self._server.should_exit = True
        self._thread.join(CLOSE_SECONDS)


def _config(pages: dict[str, Page], connection_seconds: float) -> uvicorn.Config:
    class Limited(_Connection):
        limit_seconds = connection_seconds

    async def app(scope: dict[str, Any], _receive: object, send: Send) -> None:
        status, body, kind = _page(pages, scope)
        headers = {
            "content-type": kind,
            "content-length": str(len(body)),
            "connection": "close",
            **({"allow": "GET, HEAD"} if status == 405 else {}),  # noqa: PLR2004 - as it says
        }
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})

    return uvicorn.Config(
        app,
        http=Limited,
        ws="none",
        loop="asyncio",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level=logging.ERROR,  # a request that is none, or broken off, is no news
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=MAX_REQUEST_BYTES,
    )


def _page(pages: dict[str, Page], scope: dict[str, Any]) -> tuple[int, bytes, str]:
    page = pages.get(scope["path"])
    if page is None:
        return 404, b"not found\n", TEXT
    if scope["method"] not in {"GET", "HEAD"}:
        return 405, b"GET or HEAD\n", TEXT
    return page()


def _answer(is_good: bool) -> tuple[int, bytes, str]:  # noqa: FBT001 - the answer itself
    return (200, b"ok\n", TEXT) if is_good else (503, b"no\n", TEXT)


class _Connection(H11Protocol):
    """One request, within a time and a size; the oldest connection makes room when there are too
    many.

    The server alone bounds the time between requests, but not that of a request's arrival.
    """

    limit_seconds = CONNECTION_SECONDS
    _timer: asyncio.TimerHandle | None = None
    _received_bytes = 0
    opened_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.opened_at = self.loop.time()
        self._timer = self.loop.call_later(self.limit_seconds, transport.abort)
        if len(self.connections) > MOST_CONNECTIONS:
            others = (item for item in self.connections if isinstance(item, _Connection))
            oldest = min(others, key=lambda item: item.opened_at)
            self.connections.discard(oldest)  # what is aborted leaves by itself, but later
            oldest.transport.abort()

    def data_received(self, data: bytes) -> None:
        if not self._received_bytes:
            data = _without_host(data)
        self._received_bytes += len(data)
        if self._received_bytes <= MAX_REQUEST_BYTES:
            super().data_received(data)
        elif self.cycle is None:
            self.send_400_response("The request is too large.")
        else:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)


def _without_host(data: bytes) -> bytes:
    """The request as HTTP/1.0, which differs for a short request in this alone: it needs no Host
    header. Simple health checks send none."""
    line, end, rest = data.partition(b"\n")
    return line.replace(b" HTTP/1.1", b" HTTP/1.0") + end + rest
