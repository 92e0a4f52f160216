"""/metrics, /livez and /readyz. Health is what the loop does, never whether Kafka answers.

The port opens before anything is loaded, so that whoever probes it can tell a program that starts
from one that is not there. Knows nothing of what is ready.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from worker.errors import SettingsInvalid

Check = Callable[[], bool]
Page = Callable[[], tuple[int, bytes, str]]


class ObserveServer:
    """An HTTP server on a thread of its own."""

    def __init__(
        self, host: str, port: int, registry: CollectorRegistry, is_live: Check, is_ready: Check
    ) -> None:
        """Raises SettingsInvalid when it cannot listen there."""
        pages: dict[str, Page] = {
            "/metrics": lambda: (200, generate_latest(registry), CONTENT_TYPE_LATEST),
            "/livez": lambda: _answer(is_live()),
            "/readyz": lambda: _answer(is_ready()),
        }
        try:
            self._server = _Server((host, port), _handler(pages))
        except OSError as error:
            raise SettingsInvalid(
                f"cannot listen on {host}:{port}: {error.strerror}. Set NEWSIEVE_OBSERVE__PORT; 0 "
                "takes a free one"
            ) from None
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, name="observe", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A probe that has hung up is no error of ours, and no news."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(pages: dict[str, Page]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(self._head())

        def do_HEAD(self) -> None:
            self._head()

        def _head(self) -> bytes:
            """Send status and headers; return the body."""
            page = pages.get(self.path.partition("?")[0])
            status, body, kind = page() if page else (404, b"not found\n", "text/plain")
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            return body

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            pass

    return Handler


def _answer(is_good: bool) -> tuple[int, bytes, str]:  # noqa: FBT001 - the answer itself
    return (200, b"ok\n", "text/plain") if is_good else (503, b"no\n", "text/plain")
