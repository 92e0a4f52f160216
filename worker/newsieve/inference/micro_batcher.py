"""Gathers the texts that are waiting, from however many submissions, into batches for the device.

`submit` takes texts from any thread and returns a future of their scores. One thread tokenizes
them; another fills batches from all the texts that wait, the oldest first, and gives one to the
device whenever it has a slot free; a third waits for scores. A text is tokenized once however many
filters score it, as long as their students read it alike. It knows no Kafka, no rules, no tiers.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

import numpy as np

from newsieve.inference.batching import next_batch
from newsieve.inference.engine import Engine, PendingBatch, Reading, Step, read_texts
from newsieve.inference.request import Request, WaitingText
from newsieve.inference.scorer import FilterScores, Tokens

if TYPE_CHECKING:  # as in `engine`
    from newsieve.inference.student import Student

LINGER_SECONDS: Final = 0.005  # how long a text waits for others to share its batch
FULL_ENOUGH: Final = 4  # no text waits once the batch has this part, a quarter, of its budget
MOST_CONSIDERED: Final = 1_024  # texts, for one batch: more would fill it no better
UNREAD: Final = Tokens([0], truncated=False)  # in the place of a text's that has none


class MicroBatcher:
    """Scores texts for several filters on one device."""

    def __init__(
        self,
        students: Mapping[str, Student],
        step: Step = nullcontext,
        on_budget_halved: Callable[[Student, int], None] = lambda *_: None,
    ) -> None:
        """`step` watches what may hang; `on_budget_halved` as for `Engine`."""
        device_lock = threading.Lock()
        self._engines = {
            name: Engine(student, device_lock, step, on_budget_halved)
            for name, student in students.items()
        }
        self._free_slots = max(
            (student.forward.batches_in_flight for student in students.values()), default=1
        )
        self._step = step
        self._waiting: dict[str, deque[WaitingText]] = {name: deque() for name in students}
        self._is_closed = False
        # Whose futures are not resolved. Each use is one step of the dictionary, so that resolving
        # one needs no lock.
        self._open: dict[Future[dict[str, FilterScores]], Request] = {}
        self._changed = threading.Condition()  # guards `_free_slots`, `_waiting`, `_is_closed`
        self._tokenising = ThreadPoolExecutor(1, thread_name_prefix="tokenise")
        self._launching = ThreadPoolExecutor(1, thread_name_prefix="forward")
        self._delivering = ThreadPoolExecutor(1, thread_name_prefix="scores")

    def submit(
        self, texts: Sequence[str], wanted: Mapping[str, Sequence[int]]
    ) -> Future[dict[str, FilterScores]]:
        """Score `texts[i]` for each i in `wanted[filter]`.

        The future raises DeviceFailed when it is not the texts' fault. Cancelling it drops what
        has not begun.
        """
        request = Request(Future())
        with self._changed:
            if self._is_closed:
                raise RuntimeError("the micro-batcher is closed")
            self._open[request.future] = request
            self._tokenising.submit(self._tokenise, request, texts, wanted)
        request.future.add_done_callback(self._resolved)  # which makes no cycle, as a closure would
        return request.future

    def close(self) -> None:
        """Cancel what is not finished, and end the threads."""
        with self._changed:
            self._is_closed = True
            requests = list(self._open.values())
        for request in requests:
            request.future.cancel()
        with self._changed:
            self._changed.notify()  # whoever waits for a slot has nothing to do any more
        for threads in (self._tokenising, self._launching, self._delivering):
            threads.shutdown(wait=False)

    def _resolved(self, future: Future[dict[str, FilterScores]]) -> None:
        request = self._open.pop(future)
        if future.cancelled():
            request.begin_to_resolve()

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
            self._launching.submit(self._launch_all)
        except BaseException as error:  # noqa: BLE001 - whoever waits for the future is told
            request.fail(error)

    def _read(
        self, request: Request, texts: Sequence[str], wanted: Mapping[str, Sequence[int]]
    ) -> dict[str, list[WaitingText]]:
        """The request's texts that can be scored, by filter. Raises DeviceFailed."""
        if request.future.cancelled():
            return {}
        readings = _read_all(self._engines, texts, wanted, self._step)
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

    # On the thread that gives batches to the device.

    def _launch_all(self) -> None:
        """Give batches to the device until no text is waiting."""
        try:
            while (name := self._next_filter()) is not None:
                with self._changed:
                    texts = self._take(name)
                if texts:
                    self._launch(name, texts)
                else:
                    self._release_slot()
        except BaseException as error:  # noqa: BLE001 - whoever waits for a future is told
            for request in list(self._open.values()):
                request.fail(error)

    def _launch(self, name: str, texts: list[WaitingText]) -> None:
        """Begin the forward pass of a batch, and have its scores delivered when it ends."""
        try:
            pending = self._engines[name].submit([text.ids for text in texts])
            self._delivering.submit(self._deliver, name, texts, pending)
        except BaseException:
            self._release_slot()
            raise

    def _next_filter(self) -> str | None:
        """Take one of the device's slots for a batch of the filter that is returned, when there are
        a free one and texts that need not wait for others; None when no text is waiting."""
        with self._changed:
            while oldest := self._oldest_waiting():
                seconds = None
                if self._free_slots:
                    name, seconds = self._choose(oldest)
                    if seconds <= 0:
                        self._free_slots -= 1
                        return name
                self._changed.wait(seconds)
            return None

    def _oldest_waiting(self) -> dict[str, float]:
        """Since when the oldest text of each filter has waited, of those with any."""
        for waiting in self._waiting.values():
            while waiting and waiting[0].request.future.done():  # cancelled, or failed elsewhere
                waiting.popleft()
        return {name: waiting[0].since for name, waiting in self._waiting.items() if waiting}

    def _choose(self, oldest: Mapping[str, float]) -> tuple[str, float]:
        """The filter whose batch is next, and how many seconds it may yet wait to be fuller."""
        now = time.monotonic()
        seconds = {
            name: since + LINGER_SECONDS - now if self._is_little(name) else 0.0
            for name, since in oldest.items()
        }
        due = [name for name in oldest if seconds[name] <= 0]
        name = min(due or oldest, key=lambda name: oldest[name])
        return name, seconds[name]

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

    # On the thread that waits for the device.

    def _deliver(self, name: str, texts: list[WaitingText], pending: PendingBatch) -> None:
        """Wait for the scores of a batch, and give each request its own."""
        try:
            try:
                scored = pending.result()
            finally:
                self._release_slot()
            for index, text in enumerate(texts):
                fault = scored.faults.get(index)
                text.request.score_row(name, text.row, scored.scores[index], fault)
        except BaseException as error:  # noqa: BLE001 - whoever waits for the future is told
            for text in texts:
                text.request.fail(error)

    def _release_slot(self) -> None:
        with self._changed:
            self._free_slots += 1
            self._changed.notify()


def _read_all(
    engines: Mapping[str, Engine],
    texts: Sequence[str],
    wanted: Mapping[str, Sequence[int]],
    step: Step,
) -> dict[str, Reading]:
    """What each tokenizer makes of the texts that its students are asked for, by its identity."""
    tokenisers = {}
    rows_of: dict[str, set[int]] = {}
    for name, rows in wanted.items():
        tokeniser = engines[name].student.tokeniser
        tokenisers[tokeniser.identity] = tokeniser
        rows_of.setdefault(tokeniser.identity, set()).update(rows)
    readings = {}
    for identity, tokeniser in tokenisers.items():
        with step():
            readings[identity] = read_texts(tokeniser, texts, sorted(rows_of[identity]))
    return readings
