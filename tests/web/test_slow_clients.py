"""Clients that say nothing, or take nothing, on real sockets: they end, and cost others nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.scored_records import START_MS
from tests.support.served import Served, fill, make_served, on_socket, rows_of, run_within
from tests.web.test_server import (
    ASK,
    LARGE_BYTES,
    LIMITS,
    MEGABYTE,
    PATIENCE_SECONDS,
    connected,
    slow_routes,
)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = make_served(
        tmp_path, {"SERVE__REQUESTS_PER_MINUTE": "100000"}, [slow_routes()], body_seconds=0.3
    )
    fill(served, 3)
    yield served
    served.close()


async def asked_at_once(port: int) -> float:
    """How long another client waits for its answer, the longest of ten."""
    longest = 0.0
    async with connected(port) as [(reader, writer)]:
        for _ in range(10):
            begun = time.monotonic()
            writer.write(ASK)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_SECONDS)
            assert head.startswith(b"HTTP/1.1 200")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            longest = max(longest, time.monotonic() - begun)
    return longest


async def ended(reader: asyncio.StreamReader) -> None:
    """Wait until the server has ended a connection, without taking what it sent."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        with suppress(ConnectionError):
            while await reader.read(MEGABYTE):
                pass


def drip(writer: asyncio.StreamWriter, seconds: float) -> asyncio.Task[None]:
    async def send() -> None:
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"x")
                await asyncio.sleep(seconds)

    return asyncio.create_task(send())


def test_two_hundred_connections_that_say_nothing_keep_nobody_waiting(served: Served) -> None:
    """They hold no thread, others are answered meanwhile, and they end."""

    async def talk(port: int) -> None:
        before = threading.active_count()
        async with connected(port, 200) as idle:
            await asked_at_once(port)
            assert threading.active_count() <= before + 1  # of the pool, for the answer
            await asyncio.gather(*(ended(reader) for reader, _ in idle))

    with on_socket(served, LIMITS) as port:
        run_within(talk(port))


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"GET /v1/filters HTTP/1.1\r\nHost: localhost\r\nX: ",
        b"POST /v1/nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
        b"POST /v1/body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
        b"GET /v1/filters HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
    ],
    ids=["line", "head", "refused", "body", "unread"],
)
def test_clients_that_send_a_byte_at_a_time_are_given_up(served: Served, begin: bytes) -> None:
    """In the request's line, in its head, in a body that is read or in one that nobody reads."""

    async def talk(port: int) -> None:
        async with connected(port, 30) as slow:
            dripping = []
            for _, writer in slow:
                writer.write(begin)
                dripping.append(drip(writer, 0.02))
            await asked_at_once(port)
            await asyncio.gather(*(ended(reader) for reader, _ in slow))
            for task in dripping:
                task.cancel()

    with on_socket(served, LIMITS) as port:
        run_within(talk(port))


def test_clients_that_do_not_take_a_large_answer_are_given_up(served: Served) -> None:
    """And one that takes it slowly, but takes it, gets it all."""

    async def talk(port: int) -> None:
        ask = ASK.replace(b"filters", b"large")
        async with connected(port, 5, 4_096) as stuck, connected(port, 1, 65_536) as [(reader, w)]:
            for _, writer in stuck:
                writer.transport.pause_reading()
                writer.write(ask)
            w.write(ask)
            got = 0
            while got < LARGE_BYTES:
                part = await asyncio.wait_for(reader.read(MEGABYTE), PATIENCE_SECONDS)
                assert part, "the answer to a client that reads was ended"
                got += len(part)
            await asked_at_once(port)
            await asyncio.sleep(LIMITS.stalled_seconds)
            for late, writer in stuck:
                writer.transport.resume_reading()
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                    await asyncio.wait_for(late.readexactly(LARGE_BYTES), PATIENCE_SECONDS)

    with on_socket(served, LIMITS) as port:
        run_within(talk(port))


async def read_until(reader: asyncio.StreamReader, end: bytes) -> bytes:
    """What a client is sent that takes it as it comes."""
    got = bytearray()
    while end not in got[-300_000:]:
        part = await asyncio.wait_for(reader.read(MEGABYTE), PATIENCE_SECONDS)
        assert part, "the stream of a client that reads was ended"
        got += part
    return bytes(got)


def test_clients_that_do_not_read_their_stream_cost_others_nothing(served: Served) -> None:
    """They are given up once no more fits on their way, and who reads is sent everything."""
    streams = served.site.streams

    async def talk(port: int) -> None:
        ask = b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
        async with connected(port, 10, 4_096) as stuck, connected(port) as [(reader, writer)]:
            for _, one in [*stuck, (reader, writer)]:
                one.write(ask)
            for one, _ in [*stuck, (reader, writer)]:
                await one.readuntil(b"retry: 2000\n\n")
            for _, one in stuck:
                one.transport.pause_reading()
            assert streams._clients == 11
            reading = asyncio.create_task(read_until(reader, b"News 59 "))
            text = "x" * 200_000
            for number in range(60):
                title = f"News {number} {text}"
                await asyncio.to_thread(served.write, rows_of(title, ms=START_MS + number))
            got = await reading
            assert got.count(b"data: ") == 60
            async with asyncio.timeout(PATIENCE_SECONDS):
                while streams._clients > 1:
                    await asyncio.sleep(0.01)

    with on_socket(served, LIMITS) as port:
        run_within(talk(port))
