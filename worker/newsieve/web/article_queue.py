"""Bounds what waits of all requests: articles, and the bytes of the bodies that they came in.

It knows neither what the articles wait for nor what a body is.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from newsieve.web.problems import HttpError

RATE_SECONDS: Final = 30.0  # over which the throughput is measured
MOST_RETRY_SECONDS: Final = 60


class BodyBytes:
    """The bytes of one body that is in memory."""

    def __init__(self, queue: ArticleQueue) -> None:
        self._queue = queue
        self.count = 0

    def add(self, count: int) -> None:
        """Count further bytes. Raises HttpError where all bodies together have too many."""
        self.count += count
        self._queue.add_body_bytes(count)


class ArticleQueue:
    """Counts what waits, and refuses more than its bounds."""

    def __init__(
        self,
        waits: str,
        most_articles: int,
        most_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`waits` says in a refusal what articles wait for: `wait to be scored`."""
        self.articles = 0  # admitted, and not done yet
        self.body_bytes = 0  # in memory
        self._waits = waits
        self._most_articles = most_articles
        self._most_bytes = most_bytes
        self._clock = clock
        self._finished: deque[tuple[float, int]] = deque()  # when, and how many articles

    def require_room(self) -> None:
        """Raise HttpError while as many articles wait as may."""
        if self.articles >= self._most_articles:
            raise self._full(f"{self.articles:,} articles {self._waits}")

    @contextmanager
    def waiting(self, articles: int) -> Iterator[None]:
        """Count these articles as waiting. Raises HttpError where there is no room for any; what
        comes last may go beyond the bound, so that a large request is not refused for ever."""
        self.require_room()
        self.articles += articles
        try:
            yield
        finally:
            self.articles -= articles

    @contextmanager
    def body(self) -> Iterator[BodyBytes]:
        """Count the bytes of a body until it is done with."""
        body = BodyBytes(self)
        try:
            yield body
        finally:
            self.body_bytes -= body.count

    def add_body_bytes(self, count: int) -> None:
        """Count bytes. Raises HttpError where there are too many."""
        self.body_bytes += count
        if self.body_bytes > self._most_bytes:
            raise self._full(f"the bodies that {self._waits} take all the memory they may")

    def note_finished(self, articles: int) -> None:
        """Learn the throughput from articles that are done now."""
        now = self._clock()
        self._finished.append((now, articles))
        while self._finished[0][0] < now - RATE_SECONDS:
            self._finished.popleft()

    def _full(self, why: str) -> HttpError:
        seconds = self._retry_seconds()
        return HttpError(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"{why}: try again in {seconds} s",
            {"Retry-After": str(seconds)},
        )

    def _retry_seconds(self) -> int:
        """Estimate in how many seconds all that waits is done, by the recent throughput."""
        articles = sum(count for _, count in self._finished)
        if not articles:
            return 1
        seconds = max(self._clock() - self._finished[0][0], 1.0)
        return min(max(math.ceil(self.articles * seconds / articles), 1), MOST_RETRY_SECONDS)
