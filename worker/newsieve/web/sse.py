"""Server-sent events from the hub: who is sent what, heartbeats, and a bound on clients.

An event is made once, for all clients. A slow client holds its own connection and nothing else. It
does not know what an event says.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from newsieve.store.queries import ArticleQuery
from newsieve.store.reader import StoredOutcome
from newsieve.web.hub import NewsHub
from newsieve.web.problems import HttpError

HEARTBEAT_SECONDS: Final = 15.0
RETRY: Final = b"retry: 2000\n\n"  # milliseconds until a client that lost us comes again
EVENT_STREAM: Final = "text/event-stream"
MADE: Final = 2_000  # events that are kept for other clients

MakeEvent = Callable[[StoredOutcome], bytes]


class EventStreams:
    """The streams of all clients; it belongs to one event loop."""

    def __init__(self, hub: NewsHub, most: int, changed: Callable[[int], None]) -> None:
        """`most` is how many clients there may be; `changed` is told of their number."""
        self._hub = hub
        self._most = most
        self._changed = changed
        self._clients = 0
        self._made: OrderedDict[tuple[MakeEvent, int], bytes] = OrderedDict()

    def open(
        self, query: ArticleQuery, cursor: int | None, make_event: MakeEvent
    ) -> StreamingResponse:
        """Return an answer that sends an event for each wanted outcome after a cursor (None: from
        now on). `make_event` is run by another thread, once for each outcome. Raises HttpError
        when there are too many clients."""
        if self._clients >= self._most:
            raise HttpError(503, "too many clients wait for news", {"retry-after": "10"})
        return StreamingResponse(
            self._events(query, cursor, make_event),
            media_type=EVENT_STREAM,
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def _events(
        self, query: ArticleQuery, cursor: int | None, make_event: MakeEvent
    ) -> AsyncIterator[bytes]:
        self._clients += 1
        self._changed(self._clients)
        try:
            yield RETRY
            async for last, outcomes in self._hub.news(query, cursor, HEARTBEAT_SECONDS):
                missing = [item for item in outcomes if (make_event, item.id) not in self._made]
                if missing:
                    made = await run_in_threadpool(list, map(make_event, missing))
                    for item, event in zip(missing, made, strict=True):
                        self._made[make_event, item.id] = event
                events = [self._made[make_event, item.id] for item in outcomes]
                while len(self._made) > MADE:
                    self._made.popitem(last=False)
                # The id alone moves a client's Last-Event-ID on, and shows that we are here.
                yield b"".join([*events, b"id: %d\n\n" % last])
        finally:
            self._clients -= 1
            self._changed(self._clients)
