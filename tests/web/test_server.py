"""Connections of the HTTP server: those that say nothing end, those that are used go on.

The clients here are on real sockets, as those are that the internet has.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import PlainTextResponse, Response

from newsieve.web import server as server_module
from newsieve.web.server import ConnectionLimits, make_server
from tests.support.scored_records import START_MS
from tests.support.served import Served, fill, make_served, on_socket, run_within

HEAD_SECONDS = 0.3

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
            await asyncio.sleep(HEAD_SECONDS / 10)
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


LIMITS = ConnectionLimits(head_seconds=0.4, stalled_seconds=0.4)

PATIENCE_SECONDS = 5.0

MEGABYTE = 1 << 20
LARGE_BYTES = 12 * MEGABYTE

ASK = b"GET /v1/filters HTTP/1.1\r\nHost: localhost\r\n\r\n"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def slow_routes() -> APIRouter:
    router = APIRouter()

    @router.get("/v1/large")
    def large() -> Response:
        return PlainTextResponse(b"x" * LARGE_BYTES)

    @router.post("/v1/body")
    async def body(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    return router


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = make_served(tmp_path, {"SERVE__REQUESTS_PER_MINUTE": "100000"}, [slow_routes()])
    fill(served, 3)
    yield served
    served.close()


@asynccontextmanager
async def connected(
    port: int, count: int = 1, buffer_bytes: int = 0
) -> AsyncIterator[list[Stream]]:
    """Connections of clients, which end with the block."""
    streams: list[Stream] = []
    for _ in range(count):
        client = socket.socket()
        if buffer_bytes:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        client.setblocking(bool(0))
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
        streams.append(await asyncio.open_connection(sock=client))
    try:
        yield streams
    finally:
        for _, writer in streams:
            writer.transport.abort()


async def answer_to(port: int, request: bytes) -> bytes:
    """All that a client is sent before its connection ends, or is silent for a while."""
    async with connected(port) as [(reader, writer)]:
        writer.write(request)
        got = b""
        with suppress(TimeoutError, ConnectionError):
            silence = PATIENCE_SECONDS
            while part := await asyncio.wait_for(reader.read(MEGABYTE), silence):
                got += part
                silence = 0.1
        return got


async def status_of(port: int, request: bytes) -> int:
    return int((await answer_to(port, request)).split(b" ", 2)[1])


def test_there_are_so_many_connections_and_no_more(served: Served) -> None:
    """One beyond them is closed at once; a place is free when one leaves."""

    async def talk(port: int) -> None:
        async with connected(port, 5) as kept:
            await asyncio.sleep(0.05)
            async with connected(port) as [(reader, _)]:
                with suppress(ConnectionError):
                    assert await asyncio.wait_for(reader.read(), 0.5) == b""
            kept[0][1].transport.abort()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await answer_to(port, ASK):
                    pass

    with on_socket(served, LIMITS._replace(head_seconds=3, connections=5)) as port:
        run_within(talk(port))


def test_connections_leave_files_to_the_rest_of_the_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where few may be open, more are asked for; where the system gives none, fewer connect."""
    limits = {"now": (1_024, 524_288)}
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _, now: limits.update(now=now))

    assert server_module._connections(4_000) == 4_000
    assert limits["now"] == (4_256, 524_288)
    limits["now"] = (1_024, 1_024)
    assert server_module._connections(4_000) == 768
    assert limits["now"] == (1_024, 1_024)
    limits["now"] = (65_536, 65_536)
    assert server_module._connections(4_000) == 4_000


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"rubbish\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /v1/filters HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET /v1/filters HTTP/1.0\r\n\r\n", 421),
        (b"GET http://evil.example/v1/filters HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /v1/articles/by-id/%FF%00%C0%AF HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /v1/articles?q=%FF%00%ED%A0%80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        (b"GET /v1/articles?limit=1&limit=2 HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        (b"GET /v1/articles?%FF=1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 422),
        (b"GET /v1/articles?before=99999999999999999999 HTTP/1.1\r\nHost: localhost\r\n\r\n", 422),
        (b"GET /static/../../server.py HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /static/%2e%2e/%2e%2e/server.py HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /static//etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"PROPFIND / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n", 400),
        (b"GET /v1/filters HTTP/1.1\r\nHost: localhost\r\nCookie: \xff=\xfe; ;;=\r\n\r\n", 200),
    ],
)
def test_odd_requests_are_answered_and_leave_no_trace(
    served: Served, request_: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """None of them is a fault, and none is worth a line of the log."""
    with caplog.at_level(logging.WARNING), on_socket(served, LIMITS) as port:
        assert run_within(status_of(port, request_)) == status
    assert caplog.records == []


def test_a_body_that_is_framed_in_two_ways_hides_no_request(served: Served) -> None:
    """A connection whose client and proxy may disagree where a request ends does not go on."""
    request = (
        b"POST /v1/body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )

    with on_socket(served, LIMITS) as port:
        got = run_within(answer_to(port, request + ASK))
    assert got.startswith(b"HTTP/1.1 400")
    assert got.count(b"HTTP/1.1 ") == 1


def test_requests_behind_each_other_are_answered_in_order(served: Served) -> None:
    """Also the head of one, without a body."""
    head = ASK.replace(b"GET", b"HEAD")

    with on_socket(served, LIMITS) as port:
        got = run_within(answer_to(port, head + ASK + ASK.replace(b"filters", b"nowhere")))
    assert [part[:3] for part in got.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"404"]
    assert got.split(b"HTTP/1.1 ")[1].endswith(b"\r\n\r\n")


def test_a_fault_is_logged_and_is_answered(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the traceback, and the client a sentence."""

    def fail(*_: object) -> None:
        raise RuntimeError("what nobody should see")

    monkeypatch.setattr(served.site.reader, "articles", fail)

    with on_socket(served, LIMITS) as port:
        got = run_within(answer_to(port, ASK.replace(b"filters", b"articles")))
    assert got.startswith(b"HTTP/1.1 500")
    assert b"nobody" not in got
    assert "what nobody should see" in caplog.text


def test_a_stream_goes_on_where_it_was_after_a_pause(served: Served) -> None:
    """With Last-Event-ID, over real connections, while articles arrive."""

    async def talk(port: int) -> None:
        got: list[int] = []
        last = 3
        for begin in range(0, 30, 10):
            for number in range(begin, begin + 10):
                served.add(f"News {number}", f"of its own {number}", ms=START_MS + number)
            async with connected(port) as [(reader, writer)]:
                writer.write(
                    b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: %d\r\n\r\n"
                    % last
                )
                while last < 3 + begin + 10:
                    line = await asyncio.wait_for(reader.readline(), PATIENCE_SECONDS)
                    if line.startswith(b"id: ") and int(line[4:]) != last:
                        last = int(line[4:])
                        got.append(last)
        assert got == list(range(4, 34))

    with on_socket(served, LIMITS) as port:
        run_within(talk(port))
