"""`newsieve serve`: pages, feeds and an API over what is on the topics.

The loop that fills the store runs in the main thread, the HTTP server in one of its own.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated, Final

import typer

from newsieve.bootstrap.common import open_health
from newsieve.bootstrap.score_paths import load_score_paths
from newsieve.bootstrap.serving import Serving, make_serving
from newsieve.cli.common import ConfigOption, read_settings
from newsieve.cli.lifecycle import stop_on_signals
from newsieve.errors import EXIT_RESTART
from newsieve.settings.loader import Settings
from newsieve.stream.listener import listen
from newsieve.stream.logs import get_logger
from newsieve.stream.serve_metrics import ServeMetrics
from newsieve.terminal import echo_err
from newsieve.web.server import BACKLOG, CLOSE_SECONDS, make_server

JOIN_SECONDS: Final = CLOSE_SECONDS + 2

_log = get_logger("serve")


def serve(
    score: Annotated[
        bool, typer.Option("--score", help="Also load the students, and score what is sent.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Show what is on the topics: pages, feeds and an API, until SIGTERM.

    All topics are read into a store in one file, serve.store, which is filled again where it is
    missing. Without settings it can be reached from this machine alone; serve.read_token, or a
    reverse proxy that signs people in, opens it to others. Exit codes: 0 stopped, 1 a person is
    needed, 2 the settings are wrong, 3 start it again.

    Example: newsieve serve

    Example: newsieve serve --score
    """
    settings = read_settings(config)
    stop = stop_on_signals("serve")
    where = settings.serve
    with open_health(settings, ServeMetrics()) as health:
        scores = load_score_paths(settings, settings.worker.filters) if score else None
        serving = make_serving(settings, health, scores)
        with (
            closing(serving.writer),
            closing(listen(where.host, where.port, BACKLOG, "serve")) as listener,
            _answering(serving, listener),
        ):
            health.ready_when(serving.is_ready)
            address = address_of(settings, listener)
            _log.info("site.opened", address=address)
            if sys.stderr.isatty():
                echo_err(f"open {address}")
            health.watchdog.start()
            serving.loop.run(stop.is_set, stop.wait)


@contextmanager
def _answering(serving: Serving, listener: socket.socket) -> Iterator[None]:
    """Answer requests, in a thread of their own, while the block runs."""
    server = make_server(serving.app)

    def answer() -> None:
        reason = "it returned"
        try:
            server.run([listener])
        except BaseException as error:  # noqa: BLE001 - it is told, and the program ends
            reason = repr(error)
        if not server.should_exit:  # nobody asked it to: a page that never comes helps no one
            _log.error("server.ended", reason=reason)
            os._exit(EXIT_RESTART)

    thread = threading.Thread(target=answer, name="http", daemon=True)
    thread.start()
    try:
        yield
    finally:
        serving.hub.close()
        server.should_exit = True
        thread.join(JOIN_SECONDS)


def address_of(settings: Settings, listener: socket.socket) -> str:
    """Return where people reach the pages."""
    if settings.serve.url is not None:
        return settings.serve.url
    host, port = listener.getsockname()[:2]
    name = "localhost" if host in {"0.0.0.0", "::", "127.0.0.1", "::1"} else host  # noqa: S104 - to compare with
    return f"http://{f'[{name}]' if ':' in name else name}:{port}/"
