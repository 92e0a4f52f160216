"""A bounded pool of provider calls behind a circuit breaker, and whose fault failed calls are.

One thread owns the pool: it starts tasks and collects the responses. The other threads do nothing
but call the provider, so a process that has to end need not wait for them. Knows no budget.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from newsieve.deadline import Deadline
from newsieve.errors import OracleRejects
from newsieve.oracle.call_threads import CallThreads, EndedCall
from newsieve.oracle.circuit_breaker import CircuitBreaker
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
from newsieve.oracle.withheld_results import WithheldResults

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
        self._observer = observer
        self._concurrency = concurrency
        self._chance = chance
        self._clock = clock
        self.breaker = CircuitBreaker()
        self._waiting: deque[LabelingTask] = deque()  # for their first call, or for another try
        self._in_flight = 0
        self._withheld = WithheldResults(observer.withheld)
        self._answered_at = float("-inf")
        self._failure: Exception | None = None  # since which no call is made
        self._threads = CallThreads(provider, concurrency, clock)

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
        if self._withheld.drop(task):
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
        self._withheld.add(task, self._clock())

    def collect(self, seconds: float) -> None:
        """Hand the responses that have come to their tasks, after waiting at most so long for the
        first one: each task has a result then, or a withheld one, or needs another call.

        Raises OracleRejects, also from then on, if calls make no sense any more; all responses have
        been handed over before.
        """
        self._dispatch()
        # Also tasks that the breaker holds back are waited for.
        for call in self._threads.ended(seconds if self.pending else 0.0):
            self._in_flight -= 1
            failure = self._judge(call)
            self._failure = self._failure or failure
        # While the provider is away a rejection may have been the beginning of that.
        if self._failure is None and not self._in_flight and not self.breaker.is_open:
            complaint = self._withheld.lone_rejection(self._clock())
            self._failure = OracleRejects(complaint) if complaint is not None else None
        if self._failure is not None:
            raise self._failure
        self._dispatch()

    def finish(self, seconds: float, heartbeat: Callable[[], None]) -> None:
        """Collect what is still being answered, and so paid for, within so many seconds."""
        deadline = Deadline(seconds)
        while self.in_flight and not deadline.is_over:
            heartbeat()
            with contextlib.suppress(OracleRejects):  # what stops us is known already
                self.collect(FINISH_SECONDS)

    def resolve_withheld(self) -> None:
        """Decide about the withheld results when there is nothing else to compare with: they stand
        if there was a label, else the way in which all are asked is at fault. Raises
        OracleRejects."""
        complaint = self._withheld.fault_of_all()
        if complaint is not None:
            self._failure = self._failure or OracleRejects(complaint)
        if self._failure is not None:
            raise self._failure
        self._withheld.release()

    def _judge(self, call: EndedCall) -> Exception | None:
        """Hand a response to its task. Return why no further call makes sense, if none does."""
        response, task, seconds = call.response, call.task, call.ended_at - call.started_at
        if isinstance(response, Exception):
            self._waiting.append(task)  # its claim was not used
            return response
        began = task.silent_since if task.silent_since is not None else call.started_at
        others_answered = self._answered_at > began
        is_silent = response.outcome == UNANSWERED or response.has_failed
        task.silent_since = call.started_at if is_silent else None
        if response.outcome in (ANSWERED, REFUSED):
            self._answered(call.ended_at)
        elif response.outcome in (BUSY, UNANSWERED):
            self._failed(call.started_at, response)
        tokens = task.tokens_of(response)
        self._observer.called(response.outcome, seconds, tokens, task.prices.cost_usd(tokens))
        if response.outcome == DENIED:
            self._waiting.append(task)
            return OracleRejects(response.reason)
        task.handle_response(response, seconds, others_answered=others_answered)
        if response.outcome == BUSY and not response.has_failed and not task.is_cancelled:
            self._waiting.appendleft(task)
        # Once calls have stopped nothing is released: it is asked again when that is corrected.
        may_release = self._failure is None
        complaint = self._withheld.weigh(task, self._clock(), may_release=may_release)
        return OracleRejects(complaint) if complaint is not None else None

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
            self._threads.call(self._waiting.popleft())
