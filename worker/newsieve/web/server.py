"""The HTTP server: uvicorn, with bounds on clients that open connections and say nothing.

It knows no route.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

HEAD_SECONDS: Final = 15.0  # for a request's head to come, and between two requests
MOST_CONNECTIONS: Final = 4_000
BACKLOG: Final = 256
MAX_HEAD_BYTES: Final = 32_768
CLOSE_SECONDS: Final = 3  # for answers under way when it stops


class _Connection(H11Protocol):
    """A connection that ends where no whole head of a request comes in time.

    The server bounds the time between two requests, but not that of a head's arrival.
    """

    head_seconds = HEAD_SECONDS
    _timer: asyncio.TimerHandle | None = None
    _answered: RequestResponseCycle | None = None  # the last request, when that was looked at

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _look_later(self) -> None:
        self._timer = self.loop.call_later(self.head_seconds, self._abort_without_request)

    def _abort_without_request(self) -> None:
        """End the connection where none has come since it was opened or looked at."""
        if self.cycle is None or self.cycle is self._answered:
            self.transport.abort()
            return
        # A client that sends one request after another has none under way now and then.
        self._answered = self.cycle if self.cycle.response_complete else None
        self._look_later()


def make_server(app: ASGIApp, head_seconds: float = HEAD_SECONDS) -> uvicorn.Server:
    """Return the server of an application, which `run` starts on sockets. `head_seconds` is how
    long a request's head may take to come."""
    config: dict[str, Any] = {
        "http": type("Connection", (_Connection,), {"head_seconds": head_seconds}),
        "ws": "none",
        "loop": "asyncio",
        "lifespan": "on",
        "log_config": None,
        "log_level": logging.ERROR,  # a request that is none, or broken off, is no news
        "access_log": False,
        "proxy_headers": False,  # the application decides which proxies are to be believed
        "server_header": False,
        "backlog": BACKLOG,
        "limit_concurrency": MOST_CONNECTIONS,
        "timeout_keep_alive": int(HEAD_SECONDS),
        "timeout_graceful_shutdown": CLOSE_SECONDS,
        "h11_max_incomplete_event_size": MAX_HEAD_BYTES,
    }
    return uvicorn.Server(uvicorn.Config(app, **config))
