"""A site over a store that a test fills: the application in this process, or served on a port."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from newsieve.bootstrap.serving import routers_of
from newsieve.errors import BrokerUnavailable
from newsieve.settings.loader import Settings, load_settings
from newsieve.store.reader import StoreReader
from newsieve.web.access import Access
from newsieve.web.app import make_app
from newsieve.web.hub import NewsHub
from newsieve.web.refreshed import Refreshed
from newsieve.web.server import make_server
from newsieve.web.site import DriftReport, Site
from newsieve.web.sse import EventStreams
from tests.support.filled_store import Filled  # noqa: F401 - whoever tests a site fills one
from tests.support.site_records import load

FILTERS = "uplifting,sustainability,investment_risk"
PATIENCE_SECONDS = 10.0


def serve_settings(path: Path, **serve: Any) -> Settings:
    """Settings of a site over this store; `serve` are those of its section."""
    environment = {f"NEWSIEVE_SERVE__{name.upper()}": str(value) for name, value in serve.items()}
    return load_settings(
        None,
        {
            "NEWSIEVE_SERVE__STORE": str(path),
            "NEWSIEVE_WORKER__FILTERS": FILTERS,
            **environment,
        },
    )


class NoTopics:
    """What is known of topics where nothing is read."""

    is_connected = True
    lag: Mapping[tuple[str, int], int] = {("articles.scored", 0): 0, ("articles.raw", 0): 3}


def make_site(settings: Settings, **replaced: Any) -> Site:
    """A site over the settings' store, which has to exist."""
    reader = StoreReader(settings.serve.store)
    filters = {name: load(name) for name in settings.worker.filters}
    hub = NewsHub(reader)
    parts: dict[str, Any] = {
        "settings": settings,
        "filters": filters,
        "reader": reader,
        "hub": hub,
        "streams": EventStreams(hub, settings.serve.streams, lambda _: None),
        "access": Access(settings.serve),
        "topics": NoTopics(),
        "worker_lag": lambda: 12,
        "drift": Refreshed(_no_state, 60.0),
        "student_folders": {name: item.student_folder for name, item in filters.items()},
        **replaced,
    }
    return Site(**parts)


def _no_state() -> DriftReport:
    raise BrokerUnavailable("no broker answers")


def app_of(site: Site) -> ASGIApp:
    """The whole application of a site, whose readers are told of news while it runs."""

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        task = asyncio.create_task(site.hub.run())
        try:
            yield
        finally:
            task.cancel()

    return make_app(site, routers_of(site), lambda *_: None, running)


class Served:
    """A site that is served on a port, in a thread, until stopped."""

    def __init__(self, site: Site, port: int = 0) -> None:
        self._site = site
        self._listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._server = make_server(app_of(site))
        self._thread = threading.Thread(
            target=self._server.run, args=([self._listener],), daemon=True
        )
        self._thread.start()
        until(lambda: self._server.started)

    def notify(self) -> None:
        """Say that the store has news."""
        self._site.hub.notify()

    def stop(self) -> None:
        """Stop it, as `newsieve serve` does."""
        self._site.hub.close()
        self._server.should_exit = True
        self._thread.join(PATIENCE_SECONDS)
        self._listener.close()
        assert not self._thread.is_alive()


@contextmanager
def served(site: Site, port: int = 0) -> Iterator[Served]:
    """Serve a site while the block runs."""
    server = Served(site, port)
    try:
        yield server
    finally:
        server.stop()


def until(is_so: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)
