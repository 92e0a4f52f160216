"""Threads that do nothing but ask feeds: feeds in, ended fetches out.

A process that has to end need not wait for them. It knows neither when a feed is asked, nor what an
answer means.
"""

from __future__ import annotations

import threading
import time
from queue import Empty, SimpleQueue
from typing import NamedTuple

from newsieve.feeds.feed import Feed, FeedFetcher, FetchedFeed
from newsieve_schemas.ingest import FeedState


class EndedFetch(NamedTuple):
    """An answer, and the state that its feed was asked with."""

    feed: Feed
    asked_with: FeedState | None
    fetched: FetchedFeed
    seconds: float


class FetchPool:
    """One thread for each fetch at a time. Owner thread only."""

    def __init__(self, fetcher: FeedFetcher, concurrency: int) -> None:
        self._fetcher = fetcher
        self._concurrency = concurrency
        self.under_way = 0  # fetches that were started and not returned
        self._to_fetch: SimpleQueue[tuple[Feed, FeedState | None]] = SimpleQueue()
        self._ended: SimpleQueue[EndedFetch | Exception] = SimpleQueue()
        for number in range(concurrency):
            threading.Thread(target=self._run, name=f"feed-{number}", daemon=True).start()

    @property
    def has_room(self) -> bool:
        """Whether a thread is free."""
        return self.under_way < self._concurrency

    def start(self, feed: Feed, state: FeedState | None) -> None:
        """Ask a feed, as soon as a thread is free."""
        self.under_way += 1
        self._to_fetch.put((feed, state))

    def ended(self, seconds: float) -> list[EndedFetch]:
        """Return the fetches that have ended, after waiting at most so long for the first one.
        Raises what a fetcher has raised, which is a fault of ours."""
        fetches = []
        try:
            if seconds > 0:
                fetches.append(self._take(self._ended.get(timeout=seconds)))
            while True:
                fetches.append(self._take(self._ended.get_nowait()))
        except Empty:
            return fetches

    def _take(self, ended: EndedFetch | Exception) -> EndedFetch:
        self.under_way -= 1
        if isinstance(ended, Exception):
            raise ended
        return ended

    def _run(self) -> None:
        while True:
            feed, state = self._to_fetch.get()
            started = time.monotonic()
            try:
                fetched = self._fetcher.fetch(feed, state)
            except Exception as error:  # noqa: BLE001 - raised again where it is collected
                self._ended.put(error)
                continue
            self._ended.put(EndedFetch(feed, state, fetched, time.monotonic() - started))
