"""Server-sent events from the hub: who is sent what, heartbeats, and a bound on clients.

An event is made once, for all clients. A slow client holds its own connection and nothing else. It
does not know what an event says.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from newsieve.errors import NewsieveError
from newsieve.store.queries import ArticleQuery
from newsieve.store.reader import StoredOutcome
from newsieve.stream.logs import get_logger
from newsieve.web.hub import NewsHub
from newsieve.web.problems import HttpError

HEARTBEAT_SECONDS: Final = 15.0
RETRY: Final = b"retry: 2000\n\n"  # milliseconds until a client that lost us comes again
EVENT_STREAM: Final = "text/event-stream"
MADE: Final = 2_000  # events that are kept for other clients

MakeEvent = Callable[[StoredOutcome], bytes]

_log = get_logger("serve")


class EventStreams:
    """The streams of all clients; it belongs to one event loop."""

    def __init__(self, hub: NewsHub, most: int, changed: Callable[[int], None]) -> None:
        """`most` is how many clients there may be; `changed` is told of their number."""
        self._hub = hub
        self._most = most
        self._changed = changed
        self._clients = 0
        self._made: OrderedDict[tuple[MakeEvent, int], bytes] = OrderedDict()
        self._making = asyncio.Lock()  # all clients want the same events at the same moment

    def open(
        self, query: ArticleQuery, cursor: int | None, make_event: MakeEvent
    ) -> StreamingResponse:
        """Return an answer that sends an event for each wanted outcome after a cursor (None: from
        now on). `make_event` is run by another thread, once for each outcome; an outcome of which
        it makes none, with an exception, is passed over. Raises HttpError when there are too many
        clients."""
        if self._clients >= self._most:
            raise HttpError(503, "too many clients wait for news", {"retry-after": "10"})
        return _EventStream(self._events(query, cursor, make_event), self._count)

    def _count(self, change: int) -> None:
        self._clients += change
        self._changed(self._clients)

    async def _events(
        self, query: ArticleQuery, cursor: int | None, make_event: MakeEvent
    ) -> AsyncIterator[bytes]:
        yield RETRY
        try:
            async for last, outcomes in self._hub.news(query, cursor, HEARTBEAT_SECONDS):
                events = await self._events_of(outcomes, make_event) if outcomes else []
                # The id alone moves a client's Last-Event-ID on, and shows that we are here.
                yield b"".join([*events, b"id: %d\n\n" % last])
        except NewsieveError as error:  # the client comes again, with the id of what it has
            _log.warning("news.interrupted", reason=str(error))

    async def _events_of(
        self, outcomes: Sequence[StoredOutcome], make_event: MakeEvent
    ) -> list[bytes]:
        """Return the events of outcomes, of which those that nobody has asked for are made now."""
        async with self._making:
            keys = [(make_event, item.id) for item in outcomes]
            made = {key: self._made[key] for key in keys if key in self._made}
            missing = [item for item in outcomes if (make_event, item.id) not in made]
            if missing:
                events = await run_in_threadpool(_all_made, make_event, missing)
                new = {
                    (make_event, item.id): event
                    for item, event in zip(missing, events, strict=True)
                }
                made |= new
                self._made |= new
                while len(self._made) > MADE:
                    self._made.popitem(last=False)
        return [made[key] for key in keys]


class _EventStream(StreamingResponse):
    """An answer without end. `count` is told +1 when it begins, and -1 when it is over."""

    def __init__(self, events: AsyncIterator[bytes], count: Callable[[int], None]) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(events, media_type=EVENT_STREAM, headers=headers)
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._count(1)
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._count(-1)


def _all_made(make_event: MakeEvent, outcomes: Sequence[StoredOutcome]) -> list[bytes]:
    """Return the event of each outcome, empty where it cannot be made: one record that others wrote
    would end all streams, again and again."""
    events: list[bytes] = []
    for outcome in outcomes:
        try:
            events.append(make_event(outcome))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it
            _log.warning("event.failed", outcome=outcome.id, reason=repr(error)[:500])
            events.append(b"")
    return events
