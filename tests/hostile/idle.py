"""Connections that have sent half a request, and wait."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

HALF_A_REQUEST = b"GET /metrics HTTP/1.1\r\nX: "


@contextmanager
def idle_connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    """To a port of this machine, until the end of the block."""
    with ExitStack() as held:
        found = []
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            connection.sendall(HALF_A_REQUEST)
            found.append(held.enter_context(connection))
        yield found
