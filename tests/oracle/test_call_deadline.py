"""A call has one deadline, and no way of answering slowly stretches it."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeGuard

import pytest
from pydantic import SecretStr

from newsieve.oracle.providers.base import BUSY, UNANSWERED, ProviderResponse
from newsieve.oracle.providers.http import Body, Endpoint
from newsieve.oracle.providers.openai_chat import OpenAIChat
from tests.support.oracle_calls import KEY

TIMEOUT_SECONDS = 1.0
BOUND_SECONDS = 4.0  # far below what the slow ones would take, far above what a busy machine adds
DRIP_SECONDS = 0.05
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

Answer = Callable[[socket.socket, threading.Event], None]


def drip(before: bytes, piece: bytes) -> Answer:
    """So much at once, and then a little at a time, for ever."""

    def answer(peer: socket.socket, stop: threading.Event) -> None:
        peer.sendall(before)
        for byte in itertools.cycle(piece):
            if stop.wait(DRIP_SECONDS):
                return
            peer.sendall(bytes([byte]))

    return answer


def say_nothing(_peer: socket.socket, stop: threading.Event) -> None:
    stop.wait()


@contextmanager
def server(answer: Answer, *, reads: bool = True) -> Iterator[str]:
    """Of one connection after the other; its address without a scheme."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    with peer, contextlib.suppress(OSError):
                        if reads:
                            peer.recv(65_536)
                        answer(peer, stop)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        stop.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _is_reply(found: Body | ProviderResponse) -> TypeGuard[ProviderResponse]:
    return isinstance(found, ProviderResponse)


def asked(url: str, text: str = "x") -> tuple[Body | ProviderResponse, float]:
    """What came of one call, and how long it took."""
    endpoint = Endpoint(url, SecretStr(KEY), OpenAIChat.key_header, TIMEOUT_SECONDS)
    with closing(endpoint):
        began = time.monotonic()
        found = endpoint.post("/chat/completions", {"text": text})
        return found, time.monotonic() - began


SLOW: dict[str, tuple[Answer, str, str]] = {
    "silence": (say_nothing, "http", UNANSWERED),
    "status line": (drip(b"", b"HTTP/1.1 200 OK and so on "), "http", UNANSWERED),
    "many headers": (drip(HEAD, b"X-Header: y\r\n"), "http", UNANSWERED),
    "one header": (drip(HEAD + b"X: ", b"y"), "http", UNANSWERED),
    "interim answers": (drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "http", UNANSWERED),
    "chunks": (drip(CHUNKED, b"1\r\n{\r\n"), "http", UNANSWERED),
    "trailers": (drip(CHUNKED + b"0\r\n", b"X-Trailer: y\r\n"), "http", UNANSWERED),
    "body": (drip(HEAD + b"Content-Length: 900\r\n\r\n", b"{"), "http", UNANSWERED),
    "TLS silence": (say_nothing, "https", BUSY),
    "TLS hello": (drip(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb\x03\x03", b"x"), "https", BUSY),
}


def test_no_way_of_answering_slowly_stretches_a_call() -> None:
    """Each byte comes within the time-out, the answer does not. What was not sent is not paid."""

    def call(answer: Answer, scheme: str) -> tuple[Body | ProviderResponse, float]:
        with server(answer) as address:
            return asked(f"{scheme}://{address}/v1")

    with ThreadPoolExecutor(len(SLOW)) as pool:  # at once: each takes its whole time
        calls = {name: pool.submit(call, *how[:2]) for name, how in SLOW.items()}
    found = {name: done.result() for name, done in calls.items()}

    outcomes = {name: reply.outcome for name, (reply, _) in found.items() if _is_reply(reply)}
    assert outcomes == {name: outcome for name, (_, _, outcome) in SLOW.items()}
    assert max(seconds for _, seconds in found.values()) < BOUND_SECONDS


def test_a_server_that_does_not_read_stretches_no_call() -> None:
    """More than any socket holds: most of it stays unsent."""
    with server(say_nothing, reads=False) as address:
        found, seconds = asked(f"http://{address}/v1", "x" * 10_000_000)

    assert _is_reply(found) and found.outcome == UNANSWERED
    assert seconds < BOUND_SECONDS


def test_a_name_that_is_looked_up_for_ever_stretches_no_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing was sent."""
    stop = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: stop.wait(10) and [])

    found, seconds = asked("https://api.example/v1")
    stop.set()
    for thread in threading.enumerate():
        if thread.name.startswith("asyncio"):  # which looked it up
            thread.join(10)

    assert _is_reply(found) and found.outcome == BUSY
    assert seconds < BOUND_SECONDS


def test_calls_that_were_given_up_leave_nothing_behind() -> None:
    """Neither a thread nor a socket, however many there were, from several threads at once."""

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with server(drip(HEAD, b"X: y\r\n")) as address:
        threads, files = threading.active_count(), descriptors()
        endpoint = Endpoint(
            f"http://{address}/v1", SecretStr(KEY), OpenAIChat.key_header, TIMEOUT_SECONDS
        )
        callers = [threading.Thread(target=endpoint.post, args=("/", {})) for _ in range(8)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert threading.active_count() == threads + 1
        endpoint.close()

        assert threading.active_count() == threads
        # Two of the listener's own: the one it accepts meanwhile, and the last one's other side.
        assert descriptors() <= files + 2


def test_a_call_under_way_when_its_end_comes_has_no_answer() -> None:
    """Whoever waits for it is told so at once, and whoever asks afterwards, too."""
    found: list[Body | ProviderResponse] = []
    arrived = threading.Event()

    def answer(_peer: socket.socket, stop: threading.Event) -> None:
        arrived.set()
        stop.wait()

    with server(answer) as address:
        endpoint = Endpoint(f"http://{address}/v1", SecretStr(KEY), OpenAIChat.key_header, 60)
        caller = threading.Thread(target=lambda: found.append(endpoint.post("/", {})))
        caller.start()
        assert arrived.wait(10)
        endpoint.close()
        caller.join(10)
        found.append(endpoint.post("/", {}))

    assert [item.outcome for item in found if _is_reply(item)] == [UNANSWERED] * 2


def test_a_name_with_several_addresses_says_why_none_of_them_answers() -> None:
    """As one address does."""
    with server(say_nothing) as address:
        port = address.rpartition(":")[2]

    found, _ = asked(f"http://localhost:{port}/v1")

    assert _is_reply(found) and found.reason == "no connection: refused"
