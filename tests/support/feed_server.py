"""A server of feeds on this machine that keeps what it was asked, and misbehaves as told."""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.sax.saxutils import escape

XML = {"Content-Type": "application/rss+xml"}


@dataclass(frozen=True)
class FeedRequest:
    """What came in; the names of headers are in lower case."""

    path: str
    headers: Mapping[str, str]
    at: float


@dataclass(frozen=True)
class FeedReply:
    """What goes out. `trickle_seconds` lie between two pieces of the body; a body that is cut says
    that it is `missing_bytes` longer."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: XML)
    delay_seconds: float = 0.0
    trickle_seconds: float = 0.0
    missing_bytes: int = 0

    def with_headers(self, **headers: str) -> FeedReply:
        """Return the reply with these headers, too; `_` stands for `-`."""
        added = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **added})


Behaviour = Callable[[FeedRequest], FeedReply]


class FeedServer:
    """Answers each path by its behaviour, and others by 404. Behaviours may change at any time."""

    def __init__(self, port: int = 0, certificate: Path | None = None) -> None:
        """`certificate` is a file with a key and its certificate: then it speaks TLS."""
        self.behaviours: dict[str, Behaviour] = {}
        self.requests: list[FeedRequest] = []  # in the order of their coming
        self._connections: list[socket.socket] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                outer._connections.append(self.request)
                super().setup()

            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = FeedRequest(self.path, headers, time.monotonic())
                outer.requests.append(request)
                reply = outer.reply(request)
                with contextlib.suppress(OSError):  # whoever asked has left
                    self._send(reply)

            def _send(self, reply: FeedReply) -> None:
                time.sleep(reply.delay_seconds)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.status != 304:
                    self.send_header("Content-Length", str(len(reply.body) + reply.missing_bytes))
                self.end_headers()
                if not reply.trickle_seconds:
                    self.wfile.write(reply.body)
                for start in range(0, len(reply.body) if reply.trickle_seconds else 0, 100):
                    self.wfile.write(reply.body[start : start + 100])
                    time.sleep(reply.trickle_seconds)
                self.close_connection = self.close_connection or bool(reply.missing_bytes)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 512  # all feeds may be asked at once
            daemon_threads = True

        self._server = Server(("127.0.0.1", port), Handler)
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

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def serve(self, path: str, reply: FeedReply | Behaviour) -> str:
        """Answer a path so from now on, and return its URL."""
        self.behaviours[path] = reply if callable(reply) else always(reply)
        return self.url(path)

    def reply(self, request: FeedRequest) -> FeedReply:
        behaviour = self.behaviours.get(request.path.partition("?")[0])
        return behaviour(request) if behaviour else FeedReply(b"none", 404)

    def asked(self, path: str) -> list[FeedRequest]:
        return [request for request in self.requests if request.path == path]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def feed_server(port: int = 0, certificate: Path | None = None) -> Iterator[FeedServer]:
    server = FeedServer(port, certificate)
    try:
        yield server
    finally:
        server.close()


def always(reply: FeedReply) -> Behaviour:
    return lambda _: reply


def conditional(body: Callable[[], bytes], **headers: str) -> Behaviour:
    """Answer with what `body` returns then, under an ETag; 304 to whoever has that."""

    def behave(request: FeedRequest) -> FeedReply:
        content = body()
        etag = f'"{blake2b(content, digest_size=8).hexdigest()}"'
        reply = FeedReply(content).with_headers(ETag=etag, **headers)
        if request.headers.get("if-none-match") == etag:
            return replace(reply, body=b"", status=304)
        return reply

    return behave


def in_turn(*replies: FeedReply) -> Behaviour:
    """Answer with one after the other, and then with the last."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def redirect(to: str, status: int = 301) -> FeedReply:
    return FeedReply(b"", status, {"Location": to})


def gzipped(body: bytes) -> FeedReply:
    return FeedReply(gzip.compress(body)).with_headers(Content_Encoding="gzip")


def gzip_bomb(unfolded_bytes: int) -> FeedReply:
    """Return a reply of a thousandth of the bytes that it unfolds to."""
    return gzipped(bytes(unfolded_bytes))


def rss(items: Iterable[str], title: str = "Harbour News", extra: str = "") -> bytes:
    """Return a feed of such items: see `rss_item`."""
    return (
        '<?xml version="1.0" encoding="utf-8"?><rss version="2.0" '
        'xmlns:content="http://purl.org/rss/1.0/modules/content/" '
        'xmlns:sy="http://purl.org/rss/1.0/modules/syndication/" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<channel><title>{escape(title)}</title><link>https://harbour.example/</link>"
        f"<language>en-GB</language>{extra}{''.join(items)}</channel></rss>"
    ).encode()


def rss_item(number: int, text: str | None = None, extra: str = "") -> str:
    """Return an item with a global id, the same for the same number."""
    text = text if text is not None else f"<p>The ferry took {number} bicycles &amp; a piano.</p>"
    return (
        f"<item><title>Ferry {number}</title><guid>https://harbour.example/news/{number}</guid>"
        f"<link>https://harbour.example/news/{number}?utm_source=rss</link>"
        f"<pubDate>Mon, 02 Mar 2026 10:{number % 60:02d}:00 +0100</pubDate>"
        f"<content:encoded>{escape(text)}</content:encoded>{extra}</item>"
    )
