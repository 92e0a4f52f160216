"""`newsieve serve`: pages, feeds and an API over what is on the topics.

The loop that fills the store runs in the main thread, the HTTP server in one of its own.
"""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Annotated

import typer

from newsieve.bootstrap.common import open_health
from newsieve.bootstrap.score_paths import load_score_paths
from newsieve.bootstrap.serving import make_serving
from newsieve.cli.common import ConfigOption, read_settings
from newsieve.cli.lifecycle import stop_on_signals
from newsieve.stream.listener import listen
from newsieve.stream.logs import get_logger
from newsieve.stream.serve_metrics import ServeMetrics
from newsieve.terminal import echo_err
from newsieve.web.server import BACKLOG, address_of, answering

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
            answering(serving.app, listener),
            closing(serving.hub),
        ):
            health.ready_when(serving.is_ready)
            address = where.url or address_of(listener)
            _log.info("site.opened", address=address)
            if sys.stderr.isatty():
                echo_err(f"open {address}")
            health.watchdog.start()
            serving.loop.run(stop.is_set, stop.wait)
