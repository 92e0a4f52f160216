"""Calls under way, each on a thread of its own; the gate before them; what came back, and whose
fault it is that no label did.

Owned by one thread, which starts interviews and hears of them. The others do nothing but call the
provider, so a process that has to end need not wait for them.
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
    """Who watches the calls."""

    def called(self, outcome: str, seconds: float, tokens: tuple[int, int], usd: float) -> None:
        """A call has come back. `tokens` are those sent and those received."""
        ...

    def withheld(self, reason: str) -> None:
        """That an article has no label is not known yet to be its own fault."""
        ...

    def breaker_changed(self, *, is_open: bool, failures: int, seconds: float, reason: str) -> None:
        """Nobody is called for so many seconds, after so many failures in a row; or, with none,
        the provider answers again."""
        ...


class _Done(NamedTuple):
    task: LabelingTask
    reply: ProviderResponse | Exception
    started_at: float
    ended_at: float


class CallPool:
    """At most `concurrency` calls at a time."""

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
        self._waiting: deque[LabelingTask] = deque()  # claimed, and not called yet, or turned away
        self._in_flight = 0
        self._streak = FailureStreak()
        self._withheld: dict[LabelingTask, float] = {}  # and since when
        self._answered_at = float("-inf")
        self._failure: Exception | None = None  # it makes no sense to call any more
        self._to_call: SimpleQueue[LabelingTask] = SimpleQueue()
        self._done: SimpleQueue[_Done] = SimpleQueue()
        for number in range(concurrency):
            threading.Thread(target=self._call, name=f"oracle-{number}", daemon=True).start()

    @property
    def in_flight(self) -> int:
        """Calls under way."""
        return self._in_flight

    @property
    def pending(self) -> int:
        """Interviews that are claimed and have not come back."""
        return self._in_flight + len(self._waiting)

    def free_slots(self) -> int:
        """How many more interviews could be called now."""
        if self._failure is not None or not self.breaker.allows_call(self._clock(), self.pending):
            return 0
        return 1 - self.pending if self.breaker.is_open else self._concurrency - self.pending

    def start(self, task: LabelingTask) -> None:
        """Call for it as soon as the gate lets it through. Its claim is on record."""
        task.needs_call = False
        self._waiting.append(task)
        self._dispatch()

    def cancel(self, task: LabelingTask) -> bool:
        """It is not ours any more. Returns whether a call for it is under way."""
        task.is_cancelled = True
        if task in self._waiting:
            self._waiting.remove(task)
            return False
        if self._withheld.pop(task, None) is not None:
            return False
        return task.result is None and not task.needs_call

    def can_wait(self, task: LabelingTask) -> bool:
        """It got no answer, and since then nobody did: others first, to see who is at fault."""
        since = task.silent_since
        return since is not None and self._answered_at <= since

    def fail(self, task: LabelingTask, why: str) -> None:
        """There will be no further call for it."""
        task.fail(why)
        self._withhold(task)

    def collect(self, seconds: float) -> None:
        """Let interviews hear what has come back, waiting at most so long for the first: they have
        a verdict afterwards, or it is withheld, or they want another claim. Raises OracleRejects
        when all have heard, then and from then on."""
        self._dispatch()
        for done in self._drain_results(seconds):
            self._in_flight -= 1
            self._judge(done)
        self._stop_if_alone()
        if self._failure is not None:
            raise self._failure
        self._dispatch()

    def finish(self, seconds: float, heartbeat: Callable[[], None]) -> None:
        """After a stop: what is being answered is paid for, so hear it, within so many seconds."""
        deadline = time.monotonic() + seconds
        while self.in_flight and time.monotonic() < deadline:
            heartbeat()
            with contextlib.suppress(OracleRejects):  # what stops us is known already
                self.collect(FINISH_SECONDS)

    def resolve_withheld(self) -> None:
        """There is nobody else to compare with: what is withheld is its own fault if there was a
        label, else how all are asked. Raises OracleRejects."""
        if self._withheld and self._streak.is_without_label:
            self._stop(OracleRejects(self._streak.complaint()))
        if self._failure is not None:
            raise self._failure
        self._release_all()

    def _judge(self, done: _Done) -> None:
        reply, task, seconds = done.reply, done.task, done.ended_at - done.started_at
        if isinstance(reply, Exception):
            self._waiting.append(task)  # its claim was not used
            self._stop(reply)
            return
        began = task.silent_since if task.silent_since is not None else done.started_at
        others_answered = self._answered_at > began
        is_silent = reply.outcome == UNANSWERED or reply.has_failed
        task.silent_since = done.started_at if is_silent else None
        if reply.outcome in (ANSWERED, REFUSED):
            self._answered(done.ended_at)
        elif reply.outcome in (BUSY, UNANSWERED):
            self._failed(done.started_at, reply)
        tokens = task.tokens_of(reply)
        self._observer.called(reply.outcome, seconds, tokens, task.prices.cost_usd(tokens))
        if reply.outcome == DENIED:
            self._waiting.append(task)
            self._stop(OracleRejects(reply.reason))
            return
        task.handle_response(reply, seconds, others_answered=others_answered)
        if reply.outcome == BUSY and not reply.has_failed and not task.is_cancelled:
            self._waiting.appendleft(task)
        self._weigh(task)

    def _weigh(self, task: LabelingTask) -> None:
        """What its last call says of all the others."""
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
        """A rejection before any label, to which nobody comes to be compared. Unless the provider
        is away: its last words may have been the beginning of that."""
        if self._streak.has_labelled or not self._streak.is_of_rejections or not self._withheld:
            return
        is_old = self._clock() - min(self._withheld.values()) >= WITHHELD_SECONDS
        if is_old and not self._in_flight and not self.breaker.is_open:
            self._stop(OracleRejects(self._streak.complaint()))

    def _release_all(self) -> None:
        if self._failure is not None:
            return  # they are asked again, once what stops us is mended
        for task in self._withheld:
            task.release()
        self._withheld.clear()

    def _stop(self, failure: Exception) -> None:
        self._failure = self._failure or failure

    def _answered(self, ended_at: float) -> None:
        self._answered_at = max(self._answered_at, ended_at)
        was_broken = self.breaker.is_open
        self.breaker.answered()
        if was_broken:
            self._observer.breaker_changed(is_open=False, failures=0, seconds=0, reason="an answer")

    def _failed(self, started_at: float, reply: ProviderResponse) -> None:
        now = self._clock()
        self.breaker.failed(started_at, now, reply.retry_after_seconds, self._chance())
        self._observer.breaker_changed(
            is_open=self.breaker.is_open,
            failures=self.breaker.failures,
            seconds=self.breaker.seconds_until_call(now),
            reason=reply.reason,
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
        found = []
        try:
            if self.pending and seconds > 0:  # what waits for the gate is waited for, too
                found.append(self._done.get(timeout=seconds))
            while True:
                found.append(self._done.get_nowait())
        except Empty:
            return found

    def _call(self) -> None:
        while True:
            task = self._to_call.get()
            started_at = self._clock()
            reply: ProviderResponse | Exception
            try:
                reply = self._provider.complete(task.label_prompt)
            except Exception as error:  # noqa: BLE001 - raised again where it is heard
                reply = error
            self._done.put(_Done(task, reply, started_at, self._clock()))
