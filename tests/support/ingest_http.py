"""The application of `newsieve ingest http` in this process; a test decides what is committed."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import httpx2
from pydantic import SecretStr
from starlette.types import ASGIApp

from newsieve.errors import Unavailable
from newsieve.kafka.record_size import require_fit
from newsieve.records.decode import DecodePolicy, RawRecord, decode
from newsieve.records.encode import OutRecord
from newsieve.web.guarded import BODY_SECONDS
from newsieve.web.ingest_access import IngestAccess
from newsieve.web.ingest_app import make_ingest_app
from newsieve.web.ingest_service import IngestLimits, IngestService
from newsieve_schemas.topics import MAX_MESSAGE_BYTES

TOPIC = "articles.raw"
TOKEN = "sender-of-articles-1"
SECRET = "secret-of-a-webhook-1"
BEARER = {"authorization": f"Bearer {TOKEN}"}
JSON = {"content-type": "application/json"}
LINES = {"content-type": "application/x-ndjson"}
POLICY = DecodePolicy(100_000, id_from_key=False)
PATIENCE_SECONDS = 20


@dataclass
class HeldPublisher:
    """Commits what is handed in: at once, or when the test releases it."""

    is_held: bool = False
    is_closed: bool = False
    is_available: bool = True
    committed: list[OutRecord] = field(default_factory=list)
    held: list[tuple[Sequence[OutRecord], Future[None]]] = field(default_factory=list)

    def submit(self, records: Sequence[OutRecord], seconds: float) -> Future[None]:
        assert seconds > 0
        if self.is_closed:
            raise Unavailable("the program is stopping")
        future: Future[None] = Future()
        self.held.append((records, future))
        if not self.is_held:
            self.release()
        return future

    def take(self) -> None:
        """Begin a transaction with all that is held."""
        self.held = [item for item in self.held if item[1].set_running_or_notify_cancel()]

    def release(self, error: Exception | None = None) -> None:
        """Commit all that is held, or fail it."""
        for records, future in self.held:
            if not (future.running() or future.set_running_or_notify_cancel()):
                continue
            if error is not None:
                future.set_exception(error)
                continue
            self.committed += records
            future.set_result(None)
        self.held.clear()


@dataclass
class Receiver:
    """An application, what it publishes, and what it told of requests."""

    publisher: HeldPublisher
    service: IngestService
    app: ASGIApp
    answers: list[tuple[str, int]]
    refused: list[int]

    def client(self, host: str = "localhost") -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url=f"http://{host}:8081")

    def post(
        self, content: bytes, headers: dict[str, str] | None = None, host: str = "localhost"
    ) -> httpx2.Response:
        """Send a body to /articles, as JSON unless the headers say otherwise."""

        async def send() -> httpx2.Response:
            async with self.client(host) as client:
                return await client.post("/articles", content=content, headers=headers or JSON)

        return run(send())

    def document(self) -> dict[str, Any]:
        """What /openapi.json says."""

        async def get() -> Any:
            async with self.client() as client:
                return (await client.get("/openapi.json")).json()

        return dict(run(get()))


def make_receiver(
    publisher: HeldPublisher | None = None,
    *,
    token: str | None = None,
    secret: str | None = None,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
    hosts: Sequence[str] = (),
    body_seconds: float = BODY_SECONDS,
    **limits: Any,
) -> Receiver:
    """A receiver that is open to this machine unless it has a token or a secret."""
    publisher = publisher or HeldPublisher()
    refused: list[int] = []
    service = IngestService(
        TOPIC,
        POLICY,
        IngestLimits(
            **{
                "body_bytes": 1_000_000,
                "articles": 10,
                "queue_articles": 100,
                "queue_bytes": 2_000_000,
                "deadline_seconds": PATIENCE_SECONDS,
                **limits,
            }
        ),
        publisher,
        lambda records: require_fit(records, max_message_bytes),
        refused.append,
    )
    answers: list[tuple[str, int]] = []
    access = IngestAccess(*(None if item is None else SecretStr(item) for item in (token, secret)))
    app = make_ingest_app(
        service,
        access,
        "127.0.0.1",
        hosts,
        lambda route, status, _: answers.append((route, status)),
        body_seconds,
    )
    return Receiver(publisher, service, app, answers, refused)


def read_as_a_worker(record: OutRecord) -> Any:
    """The article that a worker makes of a record."""
    return decode(RawRecord(record.value or b"", record.key, record.headers, None, {}), POLICY)


def signature(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """The header that Miniflux signs a body with."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"x-miniflux-signature": digest}


def run(test: Coroutine[Any, Any, Any]) -> Any:
    """Run a test's coroutine, which must not take for ever."""
    return asyncio.run(asyncio.wait_for(test, PATIENCE_SECONDS))


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something has happened on another thread or task."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so():
            await asyncio.sleep(0.001)
