"""A webhook on this machine that keeps what it was sent, and misbehaves as told."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True)
class Request:
    """What came in; the names of headers are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def event(self) -> str:
        return self.headers["webhook-id"]


@dataclass(frozen=True)
class Reply:
    """What goes out. `trickle_seconds` lie between two bytes of the body."""

    status: int = 200
    body: bytes = b"ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    trickle_seconds: float = 0.0


OK = Reply()


class WebhookServer:
    """Answers each request by what `behaviour` says of it and of its number, from 0."""

    def __init__(
        self,
        behaviour: Callable[[Request, int], Reply],
        port: int = 0,
        certificate: Path | None = None,
    ) -> None:
        """`certificate` is a file with a key and its certificate: then it speaks TLS."""
        self.requests: list[Request] = []  # in the order of their coming
        self.taken: list[Request] = []  # those that were answered by 2xx
        self.behaviour = behaviour
        self.connections: list[socket.socket] = []
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or every answer would wait 40 ms for an ACK

            def setup(self) -> None:
                outer.connections.append(self.request)
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = outer.answer(Request(self.path, headers, body, time.monotonic()))
                time.sleep(reply.delay_seconds)
                with contextlib.suppress(OSError):  # whoever asked has left
                    self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(reply.body)))
                    self.end_headers()
                    if not reply.trickle_seconds:
                        self.wfile.write(reply.body)
                        return
                    for byte in reply.body:
                        self.wfile.write(bytes([byte]))
                        time.sleep(reply.trickle_seconds)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def answer(self, request: Request) -> Reply:
        with self._lock:
            reply = self.behaviour(request, len(self.requests))
            self.requests.append(request)
            if 200 <= reply.status < 300:
                self.taken.append(request)
        return reply

    def wait_for(self, is_there: Callable[[WebhookServer], bool], seconds: float = 20) -> None:
        """Wait until this is so."""
        deadline = time.monotonic() + seconds
        while not is_there(self):
            assert time.monotonic() < deadline, [item.body[:80] for item in self.requests[-5:]]
            time.sleep(0.02)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for connection in self.connections:  # or a thread would go on answering on one
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def webhook(
    behaviour: Callable[[Request, int], Reply] = lambda *_: OK,
    port: int = 0,
    certificate: Path | None = None,
) -> Iterator[WebhookServer]:
    server = WebhookServer(behaviour, port, certificate)
    try:
        yield server
    finally:
        server.close()
