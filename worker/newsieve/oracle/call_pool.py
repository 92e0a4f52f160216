"""A bounded pool of provider calls behind a circuit breaker, and whose fault failed calls are.

One thread owns the pool: it starts tasks and collects the responses. The other threads do nothing
but call the provider, so a process that has to end need not wait for them. Knows no budget.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple, Protocol

from newsieve.errors import OracleRejects
from newsieve.oracle.circuit_breaker import CircuitBreaker
from newsieve.oracle.failure_streak import FailureStreak
from newsieve.oracle.labeling_task import LabelingTask
from newsieve.oracle.providers.base import (
    ANSWERED,
    BUSY,
    DENIED,
    REFUSED,
    UNANSWERED,
    Provider,
    ProviderResponse,
)
from newsieve_schemas.oracle import LABELLED

# How long a first rejection waits for others to be compared with. Half of the minute within which a
# lasting fault has to be named.
WITHHELD_SECONDS: Final = 30.0
FINISH_SECONDS: Final = 0.05  # between two heartbeats


class CallObserver(Protocol):
    """Is told of calls and of what keeps them waiting."""

    def called(self, outcome: str, seconds: float, tokens: tuple[int, int], usd: float) -> None:
        """A call has ended. `tokens` are those sent and those received."""
        ...

    def withheld(self, reason: str) -> None:
        """An article has no label, and it is not known yet whether that is its own fault."""
        ...

    def breaker_changed(self, *, is_open: bool, failures: int, seconds: float, reason: str) -> None:
        """No call is made for so many seconds, after so many failures in a row; or, with none, the
        provider answers again."""
        ...


class _Done(NamedTuple):
    """A call that has ended."""

    task: LabelingTask
    response: ProviderResponse | Exception
    started_at: float
    ended_at: float


class CallPool:
    """Makes at most `concurrency` calls at a time, for use by its owner's thread only."""

    def __init__(
        self,
        provider: Provider,
        concurrency: int,
        observer: CallObserver,
        chance: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider = provider
        self._observer = observer
        self._concurrency = concurrency
        self._chance = chance
        self._clock = clock
        self.breaker = CircuitBreaker()
        self._waiting: deque[LabelingTask] = (
            deque()
        )  # claimed, and not called yet, or refused for now
        self._in_flight = 0
        self._streak = FailureStreak()
        self._withheld: dict[LabelingTask, float] = {}  # with the time since when
        self._answered_at = float("-inf")
        self._failure: Exception | None = None  # since which no call is made
        self._to_call: SimpleQueue[LabelingTask] = SimpleQueue()
        self._done: SimpleQueue[_Done] = SimpleQueue()
        for number in range(concurrency):
            threading.Thread(target=self._call, name=f"oracle-{number}", daemon=True).start()

    @property
    def in_flight(self) -> int:
        """The number of calls under way."""
        return self._in_flight

    @property
    def pending(self) -> int:
        """The number of tasks that were started and whose calls have not ended."""
        return self._in_flight + len(self._waiting)

    def free_slots(self) -> int:
        """Return for how many more tasks a call could be made now."""
        if self._failure is not None or not self.breaker.allows_call(self._clock(), self.pending):
            return 0
        return 1 - self.pending if self.breaker.is_open else self._concurrency - self.pending

    def start(self, task: LabelingTask) -> None:
        """Make a call for a task, whose claim is on record, as soon as the breaker allows it."""
        task.needs_call = False
        self._waiting.append(task)
        self._dispatch()

    def cancel(self, task: LabelingTask) -> bool:
        """Drop a task. Return whether a call for it is under way."""
        task.is_cancelled = True
        if task in self._waiting:
            self._waiting.remove(task)
            return False
        if self._withheld.pop(task, None) is not None:
            return False
        return task.result is None and not task.needs_call

    def can_wait(self, task: LabelingTask) -> bool:
        """Whether a task got no answer, and no other has got one since: others come first then, to
        see whose fault it is."""
        since = task.silent_since
        return since is not None and self._answered_at <= since

    def fail(self, task: LabelingTask, why: str) -> None:
        """End a task, for which there will be no further call."""
        task.fail(why)
        self._withhold(task)

    def collect(self, seconds: float) -> None:
        """Hand the responses that have come to their tasks, after waiting at most so long for the
        first one: each task has a result then, or a withheld one, or needs another call.

        Raises OracleRejects, also from then on, if calls make no sense any more; all responses have
        been handed over before.
        """
        self._dispatch()
        for done in self._drain_results(seconds):
            self._in_flight -= 1
            self._judge(done)
        self._stop_if_alone()
        if self._failure is not None:
            raise self._failure
        self._dispatch()

    def finish(self, seconds: float, heartbeat: Callable[[], None]) -> None:
        """Collect what is still being answered, and so paid for, within so many seconds."""
        deadline = time.monotonic() + seconds
        while self.in_flight and time.monotonic() < deadline:
            heartbeat()
            with contextlib.suppress(OracleRejects):  # what stops us is known already
                self.collect(FINISH_SECONDS)

    def resolve_withheld(self) -> None:
        """Decide about the withheld results when there is nothing else to compare with: they stand
        if there was a label, else the way in which all are asked is at fault. Raises
        OracleRejects."""
        if self._withheld and self._streak.is_without_label:
            self._stop(OracleRejects(self._streak.complaint()))
        if self._failure is not None:
            raise self._failure
        self._release_all()

    def _judge(self, done: _Done) -> None:
        response, task, seconds = done.response, done.task, done.ended_at - done.started_at
        if isinstance(response, Exception):
            self._waiting.append(task)  # its claim was not used
            self._stop(response)
            return
        began = task.silent_since if task.silent_since is not None else done.started_at
        others_answered = self._answered_at > began
        is_silent = response.outcome == UNANSWERED or response.has_failed
        task.silent_since = done.started_at if is_silent else None
        if response.outcome in (ANSWERED, REFUSED):
            self._answered(done.ended_at)
        elif response.outcome in (BUSY, UNANSWERED):
            self._failed(done.started_at, response)
        tokens = task.tokens_of(response)
        self._observer.called(response.outcome, seconds, tokens, task.prices.cost_usd(tokens))
        if response.outcome == DENIED:
            self._waiting.append(task)
            self._stop(OracleRejects(response.reason))
            return
        task.handle_response(response, seconds, others_answered=others_answered)
        if response.outcome == BUSY and not response.has_failed and not task.is_cancelled:
            self._waiting.appendleft(task)
        self._weigh(task)

    def _weigh(self, task: LabelingTask) -> None:
        """Draw conclusions about all other tasks from the last call of this one."""
        if task.result is not None and task.result.status == LABELLED:
            self._streak.labelled()
            self._release_all()
        self._withhold(task)
        if task.failure is not None:
            self._streak.failed(task.failure, task.label_prompt.article_id)
            if self._streak.is_over:
                self._stop(OracleRejects(self._streak.complaint()))

    def _withhold(self, task: LabelingTask) -> None:
        result = task.withheld
        if result is not None and not task.is_cancelled:
            self._withheld[task] = self._clock()
            self._observer.withheld(result.failure or "")

    def _stop_if_alone(self) -> None:
        """Stop for a rejection before any label if nothing comes that it could be compared with,
        but not while the provider is away: the rejection may have been the beginning of that."""
        if self._streak.has_labelled or not self._streak.is_of_rejections or not self._withheld:
            return
        is_old = self._clock() - min(self._withheld.values()) >= WITHHELD_SECONDS
        if is_old and not self._in_flight and not self.breaker.is_open:
            self._stop(OracleRejects(self._streak.complaint()))

    def _release_all(self) -> None:
        if self._failure is not None:
            return  # they are asked again, once what stops the calls is corrected
        for task in self._withheld:
            task.release()
        self._withheld.clear()

    def _stop(self, failure: Exception) -> None:
        self._failure = self._failure or failure

    def _answered(self, ended_at: float) -> None:
        self._answered_at = max(self._answered_at, ended_at)
        was_open = self.breaker.is_open
        self.breaker.answered()
        if was_open:
            self._observer.breaker_changed(is_open=False, failures=0, seconds=0, reason="an answer")

    def _failed(self, started_at: float, response: ProviderResponse) -> None:
        now = self._clock()
        self.breaker.failed(started_at, now, response.retry_after_seconds, self._chance())
        self._observer.breaker_changed(
            is_open=self.breaker.is_open,
            failures=self.breaker.failures,
            seconds=self.breaker.seconds_until_call(now),
            reason=response.reason,
        )

    def _dispatch(self) -> None:
        while (
            self._waiting
            and self._failure is None
            and self._in_flight < self._concurrency
            and self.breaker.allows_call(self._clock(), self._in_flight)
        ):
            self._in_flight += 1
            self._to_call.put(self._waiting.popleft())

    def _drain_results(self, seconds: float) -> list[_Done]:
        ended = []
        try:
            if self.pending and seconds > 0:  # also for tasks that the breaker holds back
                ended.append(self._done.get(timeout=seconds))
            while True:
                ended.append(self._done.get_nowait())
        except Empty:
            return ended

    def _call(self) -> None:
        while True:
            task = self._to_call.get()
            started_at = self._clock()
            response: ProviderResponse | Exception
            try:
                response = self._provider.complete(task.label_prompt)
            except Exception as error:  # noqa: BLE001 - raised again where it is collected
                response = error
            self._done.put(_Done(task, response, started_at, self._clock()))
