"""News for readers who wait: each new outcome, from the store's order, to any number of clients.

One task reads what was committed; a client has only a cursor, the id of the last outcome it saw. A
client that was away, or is slow, reads what it missed from the store: nothing is kept for it, and
nothing is skipped. It knows neither HTTP nor what is made of an outcome.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from itertools import takewhile
from typing import Final

from starlette.concurrency import run_in_threadpool

from newsieve.errors import NewsieveError
from newsieve.store.queries import ArticleQuery
from newsieve.store.reader import StoredOutcome, StoreReader
from newsieve.stream.logs import get_logger

TICK_SECONDS: Final = 0.5  # news within it goes out together
KEPT: Final = 2_000  # outcomes in memory, for all clients that are up to date
PAGE: Final = 500  # outcomes of one look into the store
REACH: Final = 20_000  # ids of one look, however few of them are wanted: some 20 ms

_log = get_logger("serve")


class NewsHub:
    """Tells clients of new outcomes. All methods but `notify` belong to one event loop."""

    def __init__(self, reader: StoreReader, tick_seconds: float = TICK_SECONDS) -> None:
        """News within `tick_seconds` goes out together."""
        self._reader = reader
        self._tick_seconds = tick_seconds
        self._recent: deque[StoredOutcome] = deque(maxlen=KEPT)
        self._first_missing = 0  # outcomes up to this id are not in memory
        self.last = 0  # the id of the newest outcome that was told
        self._begun = asyncio.Event()  # `last` is known
        self._committed = asyncio.Event()
        self._told = asyncio.Event()  # another one each time
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False

    @property
    def is_running(self) -> bool:
        """Whether clients are told of news; called by any thread."""
        return self._begun.is_set() and not self._is_closed

    def notify(self) -> None:
        """Say that outcomes were committed; called by any thread."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._committed.set)

    def close(self) -> None:
        """End all streams, so that the server can stop; called by any thread."""
        self._is_closed = True
        self.notify()

    async def run(self) -> None:
        """Tell clients of what is committed, until closed or cancelled."""
        self._loop = asyncio.get_running_loop()
        self._committed.set()
        try:
            while not self._is_closed:
                await self._committed.wait()
                self._committed.clear()
                try:
                    await self._tell()
                except NewsieveError as error:
                    _log.warning("news.interrupted", reason=str(error))
                    self._committed.set()
                if not self._is_closed:
                    await asyncio.sleep(self._tick_seconds)
        finally:
            self._is_closed = True
            self._begun.set()
            self._told.set()

    async def news(
        self, query: ArticleQuery, cursor: int | None, wait_seconds: float
    ) -> AsyncIterator[tuple[int, list[StoredOutcome]]]:
        """Yield wanted outcomes after a cursor (None: from now on), oldest first, each time with
        the cursor behind them; an empty list when none came for `wait_seconds`. Raises
        NewsieveError."""
        await self._begun.wait()
        if cursor is None:
            cursor = self.last
        elif cursor > self.last:  # of an outcome that is not told yet, or of another store
            newest = await run_in_threadpool(self._reader.last_outcome)
            cursor = min(cursor, max(newest, self.last))
        loop = asyncio.get_running_loop()
        silent_until = loop.time() + wait_seconds
        while not self._is_closed:
            outcomes: list[StoredOutcome] = []
            if cursor < self.last:
                cursor, outcomes = await self._after(query, cursor)
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(silent_until):
                        await self._told.wait()
            if outcomes or loop.time() >= silent_until:
                yield cursor, outcomes
                silent_until = loop.time() + wait_seconds

    async def _after(self, query: ArticleQuery, cursor: int) -> tuple[int, list[StoredOutcome]]:
        """Return wanted outcomes after a cursor, and the cursor behind them."""
        last = self.last
        if cursor >= self._first_missing:
            new = list(takewhile(lambda item: item.id > cursor, reversed(self._recent)))
            return last, [item for item in reversed(new) if _is_wanted(query, item)]
        until = min(last, cursor + REACH)
        page = await run_in_threadpool(self._reader.outcomes_after, cursor, PAGE, query, until)
        return (until if len(page) < PAGE else page[-1].id), page

    async def _tell(self) -> None:
        """Read what is new, and wake all clients."""
        if not self._begun.is_set():
            self.last = self._first_missing = await run_in_threadpool(self._reader.last_outcome)
            self._begun.set()
        while page := await run_in_threadpool(self._reader.outcomes_after, self.last, PAGE):
            for outcome in page:
                if len(self._recent) == KEPT:
                    self._first_missing = self._recent[0].id
                self._recent.append(outcome)
            self.last = page[-1].id
            self._told.set()
            self._told = asyncio.Event()


def _is_wanted(query: ArticleQuery, outcome: StoredOutcome) -> bool:
    """Return whether an outcome is one that a stream is for."""
    score = outcome.score
    return (
        query.filter in {None, outcome.filter}
        and query.tier in {None, outcome.tier}
        and query.source in {None, outcome.source}
        and query.language in {None, outcome.language}
        and (query.min_score is None or (score is not None and score >= query.min_score))
    )
