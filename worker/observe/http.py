"""/metrics, /livez and /readyz. Health is what the loop does, never whether Kafka answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from worker.errors import SettingsInvalid

Check = Callable[[], bool]


class ObserveServer:
    """An HTTP server on a thread of its own."""

    def __init__(
        self, host: str, port: int, registry: CollectorRegistry, is_live: Check, is_ready: Check
    ) -> None:
        """Raises SettingsInvalid when it cannot listen there."""
        pages: dict[str, Callable[[], tuple[int, bytes, str]]] = {
            "/metrics": lambda: (200, generate_latest(registry), CONTENT_TYPE_LATEST),
            "/livez": lambda: _answer(is_live()),
            "/readyz": lambda: _answer(is_ready()),
        }

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = pages.get(self.path.partition("?")[0])
                status, body, kind = page() if page else (404, b"not found\n", "text/plain")
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                pass

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise SettingsInvalid(
                f"cannot listen on {host}:{port}: {error.strerror}. Set NEWSIEVE_OBSERVE__PORT; 0 "
                "takes a free one"
            ) from None
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, name="observe", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _answer(is_good: bool) -> tuple[int, bytes, str]:  # noqa: FBT001 - the answer itself
    return (200, b"ok\n", "text/plain") if is_good else (503, b"no\n", "text/plain")
