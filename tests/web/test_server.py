"""Connections of the HTTP server: those that say nothing end, those that are used go on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from fastapi import FastAPI

from newsieve.web.server import ConnectionLimits, make_server

HEAD_SECONDS = 0.1
REQUEST = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"


def with_server(talk: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    """Let a client talk to a server on a real socket."""

    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = make_server(FastAPI(), ConnectionLimits(HEAD_SECONDS))
            serving = asyncio.create_task(server.serve([listener]))
            try:
                await asyncio.wait_for(talk(listener.getsockname()[1]), 10)
            finally:
                server.should_exit = True
                await serving

    asyncio.run(test())


def test_a_connection_is_kept_as_long_as_requests_come() -> None:
    """Whenever it is looked at, and also in the moment between two requests."""

    async def talk(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(30):
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            await asyncio.sleep(HEAD_SECONDS / 5)
        writer.close()
        await writer.wait_closed()

    with_server(talk)


def test_a_connection_without_a_whole_head_of_a_request_ends() -> None:
    """Whether nothing comes or a byte now and then, before any request or behind one."""

    async def talk(port: int) -> None:
        for begin in (b"", REQUEST):
            for part in (b"", b"x"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(begin + b"GET / HTTP/1.1\r\n")
                while not reader.at_eof():
                    writer.write(part)
                    try:
                        await asyncio.wait_for(reader.read(1_000), HEAD_SECONDS / 5)
                    except TimeoutError:
                        continue
                    except ConnectionError:
                        break
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()

    with_server(talk)
