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

_log = get_logger("serve")


class NewsHub:
    """Tells clients of new outcomes. All methods but `notify` belong to one event loop."""

    def __init__(self, reader: StoreReader) -> None:
        self._reader = reader
        self._recent: deque[StoredOutcome] = deque(maxlen=KEPT)
        self._first_missing = 0  # outcomes up to this id are not in memory
        self.last = 0  # the id of the newest outcome that was told
        self._committed = asyncio.Event()
        self._told = asyncio.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False

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
        self.last = self._first_missing = await run_in_threadpool(self._reader.last_outcome)
        while not self._is_closed:
            await self._committed.wait()
            self._committed.clear()
            try:
                await self._tell()
            except NewsieveError as error:
                _log.warning("news.interrupted", reason=str(error))
            if not self._is_closed:
                await asyncio.sleep(TICK_SECONDS)
        async with self._told:
            self._told.notify_all()

    async def news(
        self, query: ArticleQuery, cursor: int | None, wait_seconds: float
    ) -> AsyncIterator[tuple[int, list[StoredOutcome]]]:
        """Yield wanted outcomes after a cursor (None: from now on), oldest first, each time with
        the cursor behind them; an empty list when none came for `wait_seconds`."""
        cursor = self.last if cursor is None else min(cursor, self.last)
        while not self._is_closed:
            if cursor < self.last:
                cursor, outcomes = await self._after(query, cursor)
                if outcomes:
                    yield cursor, outcomes
                continue
            try:
                async with asyncio.timeout(wait_seconds), self._told:
                    while self.last <= cursor and not self._is_closed:
                        await self._told.wait()
            except TimeoutError:
                yield cursor, []

    async def _after(self, query: ArticleQuery, cursor: int) -> tuple[int, list[StoredOutcome]]:
        """Return wanted outcomes after a cursor, and the cursor behind them."""
        last = self.last
        if cursor >= self._first_missing:
            recent = (item for item in reversed(self._recent) if item.id <= last)
            new = list(takewhile(lambda item: item.id > cursor, recent))
            return last, [item for item in reversed(new) if _is_wanted(query, item)]
        page = await run_in_threadpool(self._reader.outcomes_after, cursor, PAGE, query)
        if len(page) < PAGE:  # up to what was told, and not to what came meanwhile
            return last, [item for item in page if item.id <= last]
        return page[-1].id, page

    async def _tell(self) -> None:
        """Read what is new, and wake all clients."""
        last = self.last
        while page := await run_in_threadpool(self._reader.outcomes_after, last, PAGE):
            for outcome in page:
                if len(self._recent) == KEPT:
                    self._first_missing = self._recent[0].id
                self._recent.append(outcome)
            last = page[-1].id
            async with self._told:
                self.last = last
                self._told.notify_all()


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
