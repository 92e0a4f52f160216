"""Takes the articles of requests: reads them as a worker would, and has all of a request's
committed, or none.

One thread of the service unfolds, splits and decodes for all; the event loop waits for the commits.
What it raises says how HTTP calls it. It does not know who may send.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeVar

from starlette.datastructures import Headers

from newsieve.errors import OutcomeUnknown, RecordError, Unavailable
from newsieve.records.dead_letter import MAX_MESSAGE_CHARACTERS
from newsieve.records.decode import DecodePolicy, RawRecord, decode
from newsieve.records.encode import OutRecord
from newsieve.web.article_queue import ArticleQueue, BodyBytes
from newsieve.web.ingest_bodies import Incoming, ReadBody, compression_of, reader_of, unfolded
from newsieve.web.problems import HttpError

MOST_ERRORS: Final = 100  # of a request's bad articles that are named
RETRY_SECONDS: Final = 5  # until a client tries again that found no broker
UNKNOWN: Final = (
    "it is not known whether the articles were published: send them again; the same article twice "
    "is the same record twice, which subscribers tell by ce_id"
)
NOTHING: Final = "nothing was published: send the articles again"

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class IngestLimits:
    """What a server takes on."""

    body_bytes: int
    articles: int  # of one request
    queue_articles: int
    queue_bytes: int
    deadline_seconds: float


class Publisher(Protocol):
    """Publishes the records of a request in one transaction, as ReceivingLoop does."""

    @property
    def is_closed(self) -> bool:
        """Whether nothing is taken any more."""
        ...

    @property
    def is_available(self) -> bool:
        """Whether the broker was there when it was needed last."""
        ...

    def submit(self, records: Sequence[OutRecord], seconds: float) -> Future[None]:
        """Hand in records. Raises Unavailable."""
        ...


class Delivery:
    """What became of a request's articles so far."""

    submitted: Future[None] | None = None

    @property
    def is_uncertain(self) -> bool:
        """Whether they may have been published, or may yet be."""
        return self.submitted is not None and not self.submitted.cancelled()


class IngestService:
    """Takes the articles of requests. Use it from one event loop."""

    def __init__(
        self,
        topic: str,
        policy: DecodePolicy,
        limits: IngestLimits,
        publisher: Publisher,
        require_fit: Callable[[list[OutRecord]], None],
        refused: Callable[[int], None],
    ) -> None:
        """`require_fit` raises OutputTooLarge for records that the producer does not take;
        `refused` is told how many articles were refused for what they are."""
        self.limits = limits
        self.queue = ArticleQueue("wait to be committed", limits.queue_articles, limits.queue_bytes)
        self._topic = topic
        self._policy = policy
        self._publisher = publisher
        self._require_fit = require_fit
        self._refused = refused
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ingest")

    def admit(self) -> None:
        """Raise HttpError where a request would be refused now, whatever is in it."""
        if self._publisher.is_closed:
            raise _unavailable(f"the program is stopping: {NOTHING}")
        if not self._publisher.is_available:
            raise _unavailable(f"the broker does not answer: {NOTHING}")
        self.queue.require_room()

    async def take(
        self,
        headers: Headers,
        media_type: str,
        body: bytes,
        counted: BodyBytes,
        delivery: Delivery,
    ) -> list[str]:
        """Return the ids of a body's articles, once all of them are committed.

        Cancelling it withdraws what no transaction has begun to publish; `delivery` then says what
        is left. Raises HttpError.
        """
        read = reader_of(headers, media_type)
        if compression := compression_of(headers):
            most = self.limits.body_bytes
            body = await self._in_thread(lambda: unfolded(body, compression, most))
            counted.add(len(body))
        records = await self._in_thread(lambda: self._records(read, body))
        if not records:
            return []
        with self.queue.waiting(len(records)):
            try:
                delivery.submitted = self._publisher.submit(records, self.limits.deadline_seconds)
                await asyncio.wrap_future(delivery.submitted)
            except OutcomeUnknown as error:
                raise _unavailable(f"{UNKNOWN} ({error})") from None
            except Unavailable as error:
                raise _unavailable(f"{NOTHING} ({error})") from None
            self.queue.note_finished(len(records))
        return [(record.key or b"").decode() for record in records]

    def close(self) -> None:
        """End the thread, once it is done with what it does."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, function: Callable[[], Result]) -> Result:
        return await asyncio.wrap_future(self._thread.submit(function))

    def _records(self, read: ReadBody, body: bytes) -> list[OutRecord]:
        """Return the records of a body's articles, each with its article's id as key. Raises
        HttpError with all articles that would become dead letters."""
        try:
            articles = read(body, self.limits.articles)
        except RecordError as error:
            raise HttpError(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"{error}: nothing was published"
            ) from None
        if len(articles) > self.limits.articles:
            raise HttpError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"more than {self.limits.articles:,} articles: send several requests",
            )
        records: list[OutRecord] = []
        bad: list[dict[str, Any]] = []
        for index, item in enumerate(articles):
            try:
                records.append(self._record(item))
            except RecordError as error:
                bad.append(_bad(index, item, error))
        if bad:
            self._refused(len(bad))
            raise _refusal(bad, len(articles))
        return records

    def _record(self, item: Incoming) -> OutRecord:
        item.require_event()
        article = decode(RawRecord(item.value, None, item.headers, None, {}), self._policy)
        record = OutRecord(self._topic, article.id.encode(), item.value, item.headers)
        self._require_fit([record])
        return record


def _bad(index: int, item: Incoming, error: RecordError) -> dict[str, Any]:
    """Return where a bad article stands, and what its dead letter would say of it."""
    where = {"index": index} if item.line is None else {"index": index, "line": item.line}
    return {**where, "error": error.name, "message": str(error)[:MAX_MESSAGE_CHARACTERS]}


def _refusal(bad: Sequence[dict[str, Any]], articles: int) -> HttpError:
    first = bad[0]
    return HttpError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"{len(bad):,} of {articles:,} articles cannot be taken, and none was published. The first "
        f"is number {first['index'] + 1:,}: {first['message']}",
        errors=list(bad[:MOST_ERRORS]),
        errors_total=len(bad),
    )


def _unavailable(detail: str) -> HttpError:
    return HttpError(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": str(RETRY_SECONDS)})


def not_in_time(delivery: Delivery, seconds: float) -> HttpError:
    """Return the refusal of a request whose time is up."""
    left = UNKNOWN if delivery.is_uncertain else NOTHING
    return _unavailable(f"not committed within {seconds:g} s: {left}")


def broken_off(delivery: Delivery) -> HttpError:
    """Return the refusal of a request that the server breaks off when it stops."""
    left = UNKNOWN if delivery.is_uncertain else NOTHING
    return _unavailable(f"the program is stopping: {left}")
