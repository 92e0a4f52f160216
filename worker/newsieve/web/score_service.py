"""Scores the articles of many HTTP requests at a time, by the worker's own path.

A request's articles become micro-batches, whose texts share the device's batches with those of all
other requests. No request holds a thread while it waits: one thread of the service decodes, applies
rules and encodes for all, and the event loop waits for the scores. So many articles may wait and no
more. It knows neither HTTP nor what a body looks like; what it raises says how HTTP calls it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice
from typing import Final, NamedTuple, TypeVar

from newsieve.errors import DeviceFailed, RecordError
from newsieve.filters.registry import Filter
from newsieve.inference.scorer import Scorer
from newsieve.programs.scoring.path import MicroBatch, RecordOutcomes, ScoringPath
from newsieve.records.dead_letter import dead_letter_line
from newsieve.records.decode import RawRecord
from newsieve.web.article_queue import ArticleQueue
from newsieve.web.problems import HttpError

BATCH_ARTICLES: Final = 32  # of a micro-batch: few, so that a large request lets others in between
BATCHES_IN_FLIGHT: Final = 2  # of one request: one on the device, the next being tokenized
BODIES_IN_QUEUE: Final = 8  # so many of the largest bodies may be in memory at a time
STANDARD_INPUT: Final = "-"  # `newsieve score` names it so, and records are to be the same

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ScoreLimits:
    """What a server takes on."""

    queue_articles: int = 512  # while so many wait, a request is refused
    deadline_seconds: float = 30.0  # of a request, at most
    articles: int = 1_000  # in one request
    body_bytes: int = 16 * 1024 * 1024


class Article(NamedTuple):
    """The bytes of a raw article, and the line that it stood in, counted from 0."""

    line: int
    value: bytes


class Line(NamedTuple):
    """The line that `newsieve score` prints for an article; `error` is why it is a dead letter."""

    value: bytes
    error: RecordError | None


class ScoreService:
    """Scores articles for requests. Use it from one event loop."""

    def __init__(
        self, paths: Mapping[str, ScoringPath], scorer: Scorer, limits: ScoreLimits
    ) -> None:
        """`paths` has the path of each filter by the filter's name; all of them use `scorer`."""
        self.limits = limits
        self.filters = [path.filters[0] for path in paths.values()]
        self.device_failure: DeviceFailed | None = None  # of the last articles
        self._paths = {item.name: paths[item.name] for item in self.filters}
        self._paths |= {item.reference: paths[item.name] for item in self.filters}
        self._scorer = scorer
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="score")
        self.queue = ArticleQueue(
            "wait to be scored", limits.queue_articles, BODIES_IN_QUEUE * limits.body_bytes
        )
        self._is_closed = False
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    @property
    def is_ready(self) -> bool:
        """Whether articles sent now can be expected to be scored."""
        return not self._is_closed and self.device_failure is None

    def filter_of(self, reference: str) -> Filter:
        """Return the filter of a name or `name/vN`. Raises HttpError."""
        path = self._paths.get(reference)
        if path is None:
            served = [item.reference for item in self.filters]
            raise HttpError(
                HTTPStatus.NOT_FOUND,
                f"filter {reference[:100]!r} is not served; there are: {', '.join(served)}",
                filters=served,
            )
        return path.filters[0]

    def admit(self) -> None:
        """Raise HttpError where a request would be refused now, whatever is in it."""
        if self._is_closed:
            raise stopping()
        self.queue.require_room()

    async def score(self, filter_: Filter, articles: Sequence[Article]) -> list[Line]:
        """Return the lines of these articles, in order.

        Cancelling it drops what has not begun. Raises HttpError where the queue is full, the
        service stops or the device fails.
        """
        self.admit()
        if len(articles) > self.limits.articles:
            raise HttpError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"more than {self.limits.articles:,} articles: send several requests",
            )
        with self.queue.waiting(len(articles)):
            self._is_idle.clear()
            try:
                lines = await self._score_all(self._paths[filter_.name], articles)
                self.device_failure = None
                return lines
            except DeviceFailed as error:
                self.device_failure = error
                raise HttpError(
                    HTTPStatus.SERVICE_UNAVAILABLE, f"the device failed: {error}"
                ) from error
            finally:
                if self.queue.articles == len(articles):  # all that wait are these
                    self._is_idle.set()

    async def in_thread(self, function: Callable[[], Result]) -> Result:
        """Run what computes for long on the service's thread, and return its result."""
        return await asyncio.wrap_future(self._submit(function))

    async def close(self, seconds: float = 0.0) -> None:
        """Refuse further requests, wait so long for those that are waiting, fail the rest."""
        self._is_closed = True
        try:
            async with asyncio.timeout(seconds):
                await self._is_idle.wait()
        except TimeoutError:
            pass
        self._scorer.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _score_all(self, path: ScoringPath, articles: Sequence[Article]) -> list[Line]:
        """Score micro-batch after micro-batch, with a few in flight."""
        lines: list[Line] = []
        in_flight: deque[MicroBatch] = deque()
        rest = iter(articles)
        try:
            while chunk := list(islice(rest, BATCH_ARTICLES)):
                in_flight.append(await self._start(path, chunk))
                if len(in_flight) == BATCHES_IN_FLIGHT:
                    lines += await self._finish(path, in_flight.popleft())
            while in_flight:
                lines += await self._finish(path, in_flight.popleft())
        finally:
            for batch in in_flight:
                _drop(batch)
        return lines

    async def _start(self, path: ScoringPath, chunk: Sequence[Article]) -> MicroBatch:
        records = [
            RawRecord(value, None, None, None, {"file": STANDARD_INPUT, "line": line})
            for line, value in chunk
        ]
        started = self._submit(lambda: path.start(records))
        try:
            return await asyncio.wrap_future(started)
        except asyncio.CancelledError:
            started.add_done_callback(_drop_started)
            raise
        except RuntimeError:
            if self._is_closed:  # and so is the scorer
                raise stopping() from None
            raise

    async def _finish(self, path: ScoringPath, batch: MicroBatch) -> list[Line]:
        """Wait for the scores, and return the lines of the micro-batch. Raises DeviceFailed."""
        try:
            if batch.scores is not None:
                await asyncio.wrap_future(batch.scores)
            rows = await self.in_thread(lambda: path.finish(batch))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._is_closed and task is not None and not task.cancelling():
                raise stopping() from None  # the scorer dropped it
            raise
        self.queue.note_finished(len(rows))
        return [_line(row) for row in rows]

    def _submit(self, function: Callable[[], Result]) -> Future[Result]:
        try:
            return self._thread.submit(function)
        except RuntimeError:  # its thread is shut down
            raise stopping() from None


def _line(row: RecordOutcomes) -> Line:
    (outcome,) = row.outcomes
    if outcome.error is not None:
        return Line(dead_letter_line(row.record.input["line"], outcome.error), outcome.error)
    return Line(outcome.records[0].value or b"", None)


def stopping() -> HttpError:
    """Return the refusal of whatever comes, or waits, when the server stops."""
    return HttpError(HTTPStatus.SERVICE_UNAVAILABLE, "the server is stopping")


def _drop(batch: MicroBatch) -> None:
    if batch.scores is not None:
        batch.scores.cancel()


def _drop_started(started: Future[MicroBatch]) -> None:
    if not started.cancelled() and started.exception() is None:
        _drop(started.result())
