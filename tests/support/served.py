"""A server over a store of a few articles, without a broker: in process, or on a socket."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from fastapi import APIRouter
from starlette.types import ASGIApp

from newsieve.bootstrap.serving import routers_of
from newsieve.settings.loader import load_settings
from newsieve.store.reader import StoreReader
from newsieve.store.rows import Row, TextRow, outcome_row
from newsieve.store.writer import StoreWriter
from newsieve.web.app import make_app
from newsieve.web.guarded import BODY_SECONDS
from newsieve.web.hub import NewsHub
from newsieve.web.server import ConnectionLimits, make_server
from newsieve.web.site import Site
from newsieve.web.sse import EventStreams
from tests.support.scored_records import START_MS, identity, scored
from tests.support.site import make_site, until

TICK_SECONDS = 0.005
TOKEN = "reader-of-articles-1"
REVIEW_TOKEN = "reviewer-of-articles-1"


def rows_of(title: str | None, content: str | None = None, **fields: Any) -> list[Row]:
    """The rows of an article and its outcome. Fields of the article's identity begin with `a_`."""
    of_article = {
        name.removeprefix("a_"): value for name, value in fields.items() if name.startswith("a_")
    }
    others = {name: value for name, value in fields.items() if not name.startswith("a_")}
    article = identity(title, content, **of_article)
    outcome = outcome_row(scored(article, **others))
    text = TextRow(outcome.content_hash, title, content, outcome.scored_ms, outcome.article_id)
    return [text, outcome]


@dataclass
class Served:
    """A site over a store, and its application."""

    path: Path
    writer: StoreWriter
    site: Site
    app: ASGIApp
    answers: list[tuple[str, int]] = field(default_factory=list)

    def add(self, title: str, content: str | None = None, **fields: Any) -> None:
        """Write an article's outcome, and say so."""
        self.write(rows_of(title, content, **fields))

    def write(self, rows: Sequence[Row]) -> None:
        self.writer.write(rows, {})
        self.site.hub.notify()

    def close(self) -> None:
        self.site.reader.close()
        self.writer.close()

    def ask(self, method: str, target: str, **options: Any) -> httpx2.Response:
        """Send a request, from a client at `peer`."""
        return self.ask_all([(method, target)], **options)[0]

    def get(self, target: str, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        return self.ask("GET", target, headers=dict(headers or {}))

    def ask_all(
        self, targets: Sequence[tuple[str, str]], peer: str = "127.0.0.1", **options: Any
    ) -> list[httpx2.Response]:
        """Send requests one after another."""

        async def answers() -> list[httpx2.Response]:
            transport = httpx2.ASGITransport(
                app=self.app, client=(peer, 5), raise_app_exceptions=False
            )
            address = "http://localhost:8080"
            async with httpx2.AsyncClient(transport=transport, base_url=address) as client:
                return [await client.request(*item, **options) for item in targets]

        return asyncio.run(answers())


@asynccontextmanager
async def running_hub(site: Site) -> Any:
    task = asyncio.create_task(site.hub.run())
    try:
        yield
    finally:
        task.cancel()


def make_served(
    folder: Path,
    environment: Mapping[str, str] | None = None,
    routers: Sequence[APIRouter] = (),
    body_seconds: float = BODY_SECONDS,
) -> Served:
    """A site whose store is in the folder, taken up where there is one."""
    path = folder / "store.db"
    writer = StoreWriter(path)
    prefixed = {f"NEWSIEVE_{name}": value for name, value in (environment or {}).items()}
    settings = load_settings(None, {**prefixed, "NEWSIEVE_SERVE__STORE": str(path)})
    reader = StoreReader(path)
    hub = NewsHub(reader, TICK_SECONDS)
    streams = EventStreams(hub, settings.serve.streams, lambda _: None)
    site = make_site(settings, reader=reader, hub=hub, streams=streams)
    answers: list[tuple[str, int]] = []
    app = make_app(
        site,
        [*routers_of(site), *routers],
        lambda route, status, _: answers.append((route, status)),
        lambda: running_hub(site),
        body_seconds,
    )
    return Served(path, writer, site, app, answers)


@contextmanager
def on_socket(served: Served, limits: ConnectionLimits) -> Iterator[int]:
    """Serve on a port of this machine, as `newsieve serve` does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = make_server(served.app, limits)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        until(lambda: server.started)
        try:
            yield listener.getsockname()[1]
        finally:
            served.site.hub.close()
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()


def fill(served: Served, count: int = 30) -> None:
    """Articles of two tiers and two languages, a second apart."""
    rows: list[Row] = []
    for number in range(count):
        rows += rows_of(
            f"Number {number} of a story of its own",
            f"What happened on day {number} in town {number * 7}",
            a_language="de" if number % 3 == 0 else "en",
            a_source=f"s{number % 2}.example",
            a_url=f"https://news.example/{number}",
            tier="impact" if number % 5 == 0 else "connection",
            score=(number % 10) + 0.5,
            ms=START_MS + number * 1_000,
        )
    served.write(rows)


def run_within(test: Coroutine[Any, Any, Any], seconds: float = 20) -> Any:
    return asyncio.run(asyncio.wait_for(test, seconds))
