"""Gathers the texts that are waiting, from however many submissions, into batches for the device.

`submit` takes texts from any thread and returns a future of their scores. One thread tokenizes
them; another fills batches from all the texts that wait, the oldest first, and keeps some on the
device, so that it never waits for tokens or results. A text is tokenized once however many filters
score it, as long as their students read it alike. It knows no Kafka, no rules, no tiers.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from newsieve.errors import RecordError
from newsieve.inference.batching import next_batch
from newsieve.inference.engine import Engine, PendingBatch, Reading, Step, read_texts
from newsieve.inference.forward import Scores
from newsieve.inference.scorer import FilterScores, Tokens

if TYPE_CHECKING:  # as in `engine`
    from newsieve.inference.student import Student

LINGER_SECONDS: Final = 0.005  # how long a text waits for others to share its batch
FULL_ENOUGH: Final = 4  # no text waits once the batch has this part, a quarter, of its budget
MOST_CONSIDERED: Final = 1_024  # texts, for one batch: more would fill it no better
UNREAD: Final = Tokens([0], truncated=False)  # in the place of a text's that has none


@dataclass(slots=True, eq=False)
class Request:
    """One submission: its future, and the scores that are there so far, by filter."""

    future: Future[dict[str, FilterScores]]
    scored: dict[str, FilterScores] = field(default_factory=dict)
    open_rows: int = 0

    def set(self, name: str, row: int, scores: Scores, fault: RecordError | None) -> None:
        """Take the (D,) scores of one row, or the reason why it has none. The last row resolves the
        future."""
        self.scored[name].scores[row] = scores
        if fault is not None:
            self.scored[name].faults[row] = fault
        self.open_rows -= 1
        if not self.open_rows:
            self.complete()

    def complete(self) -> None:
        """Resolve the future by the scores, unless it is resolved."""
        if not self.future.done() and self.future.set_running_or_notify_cancel():
            self.future.set_result(self.scored)

    def fail(self, error: BaseException) -> None:
        """Resolve the future by an error, unless it is resolved."""
        if not self.future.done() and self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


@dataclass(frozen=True, slots=True)
class WaitingText:
    """A tokenized text that one filter has yet to score."""

    request: Request
    row: int  # in the request's rows of this filter
    ids: list[int]
    since: float  # by the monotonic clock


@dataclass(frozen=True, slots=True)
class Launched:
    """A batch on the device: the texts of one filter, and their scores to come."""

    name: str
    texts: list[WaitingText]
    pending: PendingBatch


class MicroBatcher:
    """Scores texts for several filters on one device."""

    def __init__(
        self,
        students: Mapping[str, Student],
        step: Step = nullcontext,
        on_budget_halved: Callable[[Student, int], None] = lambda *_: None,
    ) -> None:
        """`step` watches what may hang; `on_budget_halved` as for `Engine`."""
        self._engines = {
            name: Engine(student, step, on_budget_halved) for name, student in students.items()
        }
        self._most_on_device = max(
            (student.forward.batches_in_flight for student in students.values()), default=1
        )
        self._step = step
        self._waiting: dict[str, deque[WaitingText]] = {name: deque() for name in students}
        self._open: set[Request] = set()  # whose futures are not resolved
        self._changed = threading.Condition()  # guards `_waiting`
        self._tokenising = ThreadPoolExecutor(1, thread_name_prefix="tokenise")
        self._scoring = ThreadPoolExecutor(1, thread_name_prefix="forward")

    def submit(
        self, texts: Sequence[str], wanted: Mapping[str, Sequence[int]]
    ) -> Future[dict[str, FilterScores]]:
        """Score `texts[i]` for each i in `wanted[filter]`.

        The future raises DeviceFailed when it is not the texts' fault. Cancelling it drops what
        has not begun.
        """
        request = Request(Future())
        self._open.add(request)
        request.future.add_done_callback(lambda _: self._open.discard(request))
        self._tokenising.submit(self._tokenise, request, texts, wanted)
        return request.future

    def close(self) -> None:
        """Cancel what is not finished, and end the threads."""
        for request in list(self._open):
            request.future.cancel()
        self._tokenising.shutdown(wait=False, cancel_futures=True)
        self._scoring.shutdown(wait=False, cancel_futures=True)

    # On the tokenizing thread.

    def _tokenise(
        self, request: Request, texts: Sequence[str], wanted: Mapping[str, Sequence[int]]
    ) -> None:
        """Read the texts, and let them wait for their forward passes."""
        try:
            waiting = self._read(request, texts, wanted)
            with self._changed:
                for name, rows in waiting.items():
                    self._waiting[name] += rows
                self._changed.notify()
            self._scoring.submit(self._score_all)
        except BaseException as error:  # noqa: BLE001 - whoever waits for the future is told
            request.fail(error)

    def _read(
        self, request: Request, texts: Sequence[str], wanted: Mapping[str, Sequence[int]]
    ) -> dict[str, list[WaitingText]]:
        """The request's texts that can be scored, by filter. Raises DeviceFailed."""
        if request.future.cancelled():
            return {}
        readings = self._readings(texts, wanted)
        now = time.monotonic()
        waiting: dict[str, list[WaitingText]] = {}
        for name, rows in wanted.items():
            student = self._engines[name].student
            reading = readings[student.tokeniser.identity]
            faults = {
                index: reading.faults[row]
                for index, row in enumerate(rows)
                if row in reading.faults
            }
            tokens = [reading.tokens.get(row, UNREAD) for row in rows]
            scores = np.full((len(rows), len(student.manifest.dimensions)), np.nan)
            request.scored[name] = FilterScores(scores, tokens, faults)
            waiting[name] = [
                WaitingText(request, index, item.ids, now)
                for index, item in enumerate(tokens)
                if index not in faults
            ]
        request.open_rows = sum(map(len, waiting.values()))
        if not request.open_rows:
            request.complete()
        return waiting

    def _readings(
        self, texts: Sequence[str], wanted: Mapping[str, Sequence[int]]
    ) -> dict[str, Reading]:
        """What each tokenizer makes of the texts that its students are asked for."""
        tokenisers = {}
        rows_of: dict[str, set[int]] = {}
        for name, rows in wanted.items():
            tokeniser = self._engines[name].student.tokeniser
            tokenisers[tokeniser.identity] = tokeniser
            rows_of.setdefault(tokeniser.identity, set()).update(rows)
        readings = {}
        for identity, tokeniser in tokenisers.items():
            with self._step():
                readings[identity] = read_texts(tokeniser, texts, sorted(rows_of[identity]))
        return readings

    # On the thread that owns the device.

    def _score_all(self) -> None:
        """Score until nothing is waiting and nothing is on the device."""
        on_device: deque[Launched] = deque()
        try:
            while True:
                launched = self._launch(may_linger=not on_device)
                if launched is not None:
                    on_device.append(launched)
                elif not on_device:
                    return
                is_full = len(on_device) >= self._most_on_device
                if launched is None or is_full or on_device[0].pending.done():
                    _deliver(on_device.popleft())
        except BaseException as error:  # noqa: BLE001 - whoever waits for a future is told
            for request in list(self._open):
                request.fail(error)

    def _launch(self, *, may_linger: bool) -> Launched | None:
        """Give the next batch to the device, unless nothing, or too little, is waiting."""
        with self._changed:
            name = self._longest_waiting()
            if name is not None and self._is_little(name):
                if not may_linger:
                    return None
                self._linger(name)
                name = self._longest_waiting()
            if name is None:
                return None
            engine, texts = self._engines[name], self._take(name)
        return Launched(name, texts, engine.submit([text.ids for text in texts]))

    def _linger(self, name: str) -> None:
        """Let a filter's texts wait for others, until the oldest has waited long enough."""
        seconds = self._waiting[name][0].since + LINGER_SECONDS - time.monotonic()
        self._changed.wait_for(lambda: not self._is_little(name), max(seconds, 0.0))

    def _longest_waiting(self) -> str | None:
        """The filter whose oldest text has waited longest, if any is waiting."""
        for waiting in self._waiting.values():
            while waiting and waiting[0].request.future.done():  # cancelled, or failed elsewhere
                waiting.popleft()
        names = [name for name, waiting in self._waiting.items() if waiting]
        return min(names, key=lambda name: self._waiting[name][0].since, default=None)

    def _is_little(self, name: str) -> bool:
        """Whether a batch of all that is waiting would leave most of its budget unused."""
        room = self._engines[name].budget_tokens // FULL_ENOUGH
        for text in self._waiting[name]:
            room -= len(text.ids)
            if room <= 0:
                return False
        return True

    def _take(self, name: str) -> list[WaitingText]:
        """Remove the texts of the next batch from those that wait."""
        waiting, engine = self._waiting[name], self._engines[name]
        seen = [waiting.popleft() for _ in range(min(len(waiting), MOST_CONSIDERED))]
        seen = [text for text in seen if not text.request.future.done()]
        lengths = [len(text.ids) for text in seen]
        is_padded = engine.student.forward.is_padded
        chosen = next_batch(lengths, engine.budget_tokens, is_padded=is_padded)
        left = set(range(len(seen))) - set(chosen)
        waiting.extendleft(seen[index] for index in sorted(left, reverse=True))
        return [seen[index] for index in chosen]


def _deliver(launched: Launched) -> None:
    """Wait for the scores of a batch, and give each request its own."""
    try:
        scored = launched.pending.result()
    except Exception as error:  # noqa: BLE001 - whoever waits for the future is told
        for text in launched.texts:
            text.request.fail(error)
        return
    for index, text in enumerate(launched.texts):
        fault = scored.faults.get(index)
        text.request.set(launched.name, text.row, scored.scores[index], fault)
