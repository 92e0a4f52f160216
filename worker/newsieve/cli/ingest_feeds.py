"""`newsieve ingest feeds`: asks news feeds until it is told to stop.

It does not know how a feed is read, nor when it is asked.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from newsieve.bootstrap import ingest_feeds as assembled
from newsieve.bootstrap.common import open_health
from newsieve.cli.common import ConfigOption, read_settings
from newsieve.cli.lifecycle import require_topics, stop_on_signals
from newsieve.stream.ingest_metrics import IngestMetrics
from newsieve.terminal import echo


def feeds(
    context: typer.Context,
    list_: Annotated[
        Path | None,
        typer.Argument(
            metavar="LIST",
            help="The feeds: OPML, or a URL a line. Default: those of ingest.feeds.",
            show_default=False,
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Ask each feed that is due one time, and end.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Put the articles of news feeds on the raw topic, each version exactly once, until SIGTERM.

    What is known of a feed is on the topic articles.feeds. Several of these programs share the
    feeds, if they have one list. The list is read again when it changes. Exit codes: 0 drained, 1 a
    person is needed, 2 the settings or the list are wrong, 3 start it again.

    Example: newsieve ingest feeds feeds.opml --once
    """
    settings = read_settings(config)
    feed_list = assembled.feed_list(settings, list_)
    stop = stop_on_signals("ingest")
    health = context.with_resource(open_health(settings, IngestMetrics()))
    require_topics(settings, assembled.ingest_topics(settings))
    with closing(assembled.make_fetcher(settings)) as fetcher:
        slot = assembled.acquire_slot(settings, health.watchdog.beat)
        running = assembled.make_feeds_loop(
            settings, feed_list, fetcher, slot, health, is_once=once
        )
        health.watchdog.start()
        try:
            running.runner.run(running.loop, lambda: stop.is_set() or running.loop.is_done)
        finally:
            health.watchdog.stop()
    if once:
        fetches = running.observer.fetches
        outcomes = [f"{fetches[name]:,} {name}" for name in sorted(fetches)] or ["none due"]
        counts = ", ".join([f"{len(feed_list.feeds):,} listed", *outcomes])
        echo(f"feeds: {counts}; articles: {running.observer.articles:,}")
