"""`newsieve ingest http`: takes articles by HTTP onto the raw topic.

The loop that publishes runs in the main thread, the HTTP server in one of its own.
"""

from __future__ import annotations

from contextlib import closing

from newsieve.bootstrap.common import open_health
from newsieve.bootstrap.receiving import (
    acquire_receiving_slot,
    make_receiving,
    receiving_topics,
)
from newsieve.cli.common import ConfigOption, read_settings
from newsieve.cli.lifecycle import require_topics, stop_on_signals
from newsieve.stream.ingest_http_metrics import IngestHttpMetrics
from newsieve.stream.listener import listen
from newsieve.stream.logs import get_logger
from newsieve.web.server import BACKLOG, address_of, answering

_log = get_logger("ingest")


def http(config: ConfigOption = None) -> None:
    """Take articles that are sent to `POST /articles`, until SIGTERM.

    One article, an array, JSON Lines, CloudEvents, and Miniflux's webhook are taken. The answer is
    202 when all articles of the request are committed to the raw topic; otherwise none is, or the
    answer says that nobody knows. Without settings it can be reached from this machine alone;
    ingest.http_token, or ingest.http_secret, opens it to others.

    Exit codes: 0 stopped, 1 a person is needed, 2 the settings are wrong, 3 start it again.

    Example: newsieve ingest http
    """
    settings = read_settings(config)
    stop = stop_on_signals("ingest")
    where = settings.ingest
    with (
        open_health(settings, IngestHttpMetrics()) as health,
        closing(listen(where.http_host, where.http_port, BACKLOG, "ingest", "http_")) as listener,
    ):
        require_topics(settings, receiving_topics(settings))
        slot = acquire_receiving_slot(settings, health.watchdog.beat)
        receiving = make_receiving(settings, slot, health)
        with answering(receiving.app, listener):
            loop = receiving.loop
            health.ready_when(lambda: loop.is_available and not loop.is_closed)
            _log.info("receiver.opened", address=address_of(listener))
            health.watchdog.start()
            loop.run(stop.is_set)
    _log.info("receiver.closed")
