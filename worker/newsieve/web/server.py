"""The HTTP server: uvicorn, with bounds on clients that open connections and say nothing.

It runs on a thread beside a program's loop. It knows no route.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, NamedTuple

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from newsieve.errors import EXIT_RESTART
from newsieve.stream.logs import get_logger

BACKLOG: Final = 256
MAX_HEAD_BYTES: Final = 32_768
CLOSE_SECONDS: Final = 3  # for answers under way when it stops
JOIN_SECONDS: Final = CLOSE_SECONDS + 2
FILES_BESIDE: Final = 256  # that the program opens beside its connections

_log = get_logger("serve")


class ConnectionLimits(NamedTuple):
    """What a client may do without asking for anything, or without taking what it asked for."""

    head_seconds: float = 15.0  # for a request's head to come, and between two requests
    stalled_seconds: float = 60.0  # in which a client takes nothing of its answer
    connections: int = 4_000


DEFAULT: Final = ConnectionLimits()


class _Connection(H11Protocol):
    """A connection that ends where no whole head of a request comes in time, or an answer is not
    taken.

    uvicorn bounds the time between two requests, but not that of a head's arrival, and waits for a
    client that does not read as long as it likes.
    """

    def __init__(self, limits: ConnectionLimits, **rest: Any) -> None:
        super().__init__(**rest)
        self._limits = limits
        self._head: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            transport.abort()
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        _cancel(self._head)
        _cancel(self._stalled)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if self._is_asked:
            _cancel(self._head)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._is_asked and not self.transport.is_closing():
            self._expect_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        _cancel(self._stalled)
        self._stalled = self.loop.call_later(self._limits.stalled_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        _cancel(self._stalled)
        super().resume_writing()

    @property
    def _is_asked(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _expect_head(self) -> None:
        _cancel(self._head)
        self._head = self.loop.call_later(self._limits.head_seconds, self.transport.abort)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def make_server(app: ASGIApp, limits: ConnectionLimits = DEFAULT) -> uvicorn.Server:
    """Return the server of an application, which `run` starts on sockets."""
    limits = limits._replace(connections=_connections(limits.connections))
    config: dict[str, Any] = {
        "http": partial(_Connection, limits),
        "ws": "none",
        "loop": "asyncio",
        "lifespan": "on",
        "log_config": None,
        "log_level": logging.ERROR,  # a request that is none, or broken off, is no news
        "access_log": False,
        "proxy_headers": False,  # the application decides which proxies are to be believed
        "server_header": False,
        "backlog": BACKLOG,
        "timeout_keep_alive": math.ceil(limits.head_seconds),
        "timeout_graceful_shutdown": CLOSE_SECONDS,
        "h11_max_incomplete_event_size": MAX_HEAD_BYTES,
    }
    return uvicorn.Server(uvicorn.Config(app, **config))


@contextmanager
def answering(app: ASGIApp, listener: socket.socket) -> Iterator[None]:
    """Answer requests, in a thread of their own, while the block runs. A server that ends before
    ends the program: a port that never answers helps no one."""
    server = make_server(app)

    def answer() -> None:
        reason = "it returned"
        try:
            server.run([listener])
        except BaseException as error:  # noqa: BLE001 - it is told, and the program ends
            reason = repr(error)
        if not server.should_exit:
            _log.error("server.ended", reason=reason)
            os._exit(EXIT_RESTART)

    thread = threading.Thread(target=answer, name="http", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(JOIN_SECONDS)


def address_of(listener: socket.socket) -> str:
    """Return where a program on this machine reaches the server."""
    host, port = listener.getsockname()[:2]
    name = "localhost" if host in {"0.0.0.0", "::", "127.0.0.1", "::1"} else host  # noqa: S104 - to compare with
    return f"http://{f'[{name}]' if ':' in name else name}:{port}/"


def _connections(wanted: int) -> int:
    """Return how many connections there may be, so that the program can open other files beside
    them, whose number is raised where the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    needed = wanted + FILES_BESIDE
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(wanted, max(soft - FILES_BESIDE, soft // 2))
