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

# How long a first rejection waits for others to be compared with. Half of the minute within which a
# lasting fault has to be named.
WITHHELD_SECONDS: Final = 30.0
FINISH_SECONDS: Final = 0.05  # between two heartbeats
LABELLED: Final = "labelled"


class CallObserver(Protocol):
    """Who watches the calls."""

    def called(self, outcome: str, seconds: float, tokens: tuple[int, int], usd: float) -> None:
        """A call has come back. `tokens` are those sent and those received."""
        ...

    def withheld(self, reason: str) -> None:
        """That an article has no label is not known yet to be its own fault."""
        ...

    def gate_moved(self, *, is_broken: bool, failures: int, seconds: float, reason: str) -> None:
        """Nobody is called for so many seconds, after so many failures in a row; or, with none,
        the provider answers again."""
        ...


class _Done(NamedTuple):
    interview: LabelingTask
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
        self.gate = CircuitBreaker()
        self._waiting: deque[LabelingTask] = deque()  # claimed, and not called yet, or turned away
        self._under_way = 0
        self._streak = FailureStreak()
        self._withheld: dict[LabelingTask, float] = {}  # and since when
        self._answered_at = float("-inf")
        self._failure: Exception | None = None  # it makes no sense to call any more
        self._asked: SimpleQueue[LabelingTask] = SimpleQueue()
        self._done: SimpleQueue[_Done] = SimpleQueue()
        for number in range(concurrency):
            threading.Thread(target=self._call, name=f"oracle-{number}", daemon=True).start()

    @property
    def calling(self) -> int:
        """Calls under way."""
        return self._under_way

    @property
    def busy(self) -> int:
        """Interviews that are claimed and have not come back."""
        return self._under_way + len(self._waiting)

    def room(self) -> int:
        """How many more interviews could be called now."""
        if self._failure is not None or not self.gate.lets_through(self._clock(), self.busy):
            return 0
        return 1 - self.busy if self.gate.is_broken else self._concurrency - self.busy

    def start(self, interview: LabelingTask) -> None:
        """Call for it as soon as the gate lets it through. Its claim is on record."""
        interview.wants_claim = False
        self._waiting.append(interview)
        self._pass_on()

    def abandon(self, interview: LabelingTask) -> bool:
        """It is not ours any more. Returns whether a call for it is under way."""
        interview.is_abandoned = True
        if interview in self._waiting:
            self._waiting.remove(interview)
            return False
        if self._withheld.pop(interview, None) is not None:
            return False
        return interview.verdict is None and not interview.wants_claim

    def can_wait(self, interview: LabelingTask) -> bool:
        """It got no answer, and since then nobody did: others first, to see who is at fault."""
        since = interview.silent_since
        return since is not None and self._answered_at <= since

    def give_up(self, interview: LabelingTask, why: str) -> None:
        """There will be no further call for it."""
        interview.give_up(why)
        self._withhold(interview)

    def hear(self, seconds: float) -> None:
        """Let interviews hear what has come back, waiting at most so long for the first: they have
        a verdict afterwards, or it is withheld, or they want another claim. Raises OracleRejects
        when all have heard, then and from then on."""
        self._pass_on()
        for done in self._come_back(seconds):
            self._under_way -= 1
            self._judge(done)
        self._stop_if_alone()
        if self._failure is not None:
            raise self._failure
        self._pass_on()

    def finish(self, seconds: float, heartbeat: Callable[[], None]) -> None:
        """After a stop: what is being answered is paid for, so hear it, within so many seconds."""
        deadline = time.monotonic() + seconds
        while self.calling and time.monotonic() < deadline:
            heartbeat()
            with contextlib.suppress(OracleRejects):  # what stops us is known already
                self.hear(FINISH_SECONDS)

    def conclude(self) -> None:
        """There is nobody else to compare with: what is withheld is its own fault if there was a
        label, else how all are asked. Raises OracleRejects."""
        if self._withheld and self._streak.is_without_label:
            self._stop(OracleRejects(self._streak.complaint()))
        if self._failure is not None:
            raise self._failure
        self._release_all()

    def _judge(self, done: _Done) -> None:
        reply, interview, seconds = done.reply, done.interview, done.ended_at - done.started_at
        if isinstance(reply, Exception):
            self._waiting.append(interview)  # its claim was not used
            self._stop(reply)
            return
        began = interview.silent_since if interview.silent_since is not None else done.started_at
        others_answered = self._answered_at > began
        is_silent = reply.outcome == UNANSWERED or reply.has_failed
        interview.silent_since = done.started_at if is_silent else None
        if reply.outcome in (ANSWERED, REFUSED):
            self._answered(done.ended_at)
        elif reply.outcome in (BUSY, UNANSWERED):
            self._failed(done.started_at, reply)
        tokens = interview.tokens_of(reply)
        self._observer.called(reply.outcome, seconds, tokens, interview.prices.cost_usd(tokens))
        if reply.outcome == DENIED:
            self._waiting.append(interview)
            self._stop(OracleRejects(reply.reason))
            return
        interview.hear(reply, seconds, others_answered=others_answered)
        if reply.outcome == BUSY and not reply.has_failed and not interview.is_abandoned:
            self._waiting.appendleft(interview)
        self._weigh(interview)

    def _weigh(self, interview: LabelingTask) -> None:
        """What its last call says of all the others."""
        if interview.verdict is not None and interview.verdict.status == LABELLED:
            self._streak.labelled()
            self._release_all()
        self._withhold(interview)
        if interview.failure is not None:
            self._streak.failed(interview.failure, interview.question.article_id)
            if self._streak.is_over:
                self._stop(OracleRejects(self._streak.complaint()))

    def _withhold(self, interview: LabelingTask) -> None:
        verdict = interview.withheld
        if verdict is not None and not interview.is_abandoned:
            self._withheld[interview] = self._clock()
            self._observer.withheld(verdict.failure or "")

    def _stop_if_alone(self) -> None:
        """A rejection before any label, to which nobody comes to be compared. Unless the provider
        is away: its last words may have been the beginning of that."""
        if self._streak.has_labelled or not self._streak.is_of_rejections or not self._withheld:
            return
        is_old = self._clock() - min(self._withheld.values()) >= WITHHELD_SECONDS
        if is_old and not self._under_way and not self.gate.is_broken:
            self._stop(OracleRejects(self._streak.complaint()))

    def _release_all(self) -> None:
        if self._failure is not None:
            return  # they are asked again, once what stops us is mended
        for interview in self._withheld:
            interview.release()
        self._withheld.clear()

    def _stop(self, failure: Exception) -> None:
        self._failure = self._failure or failure

    def _answered(self, ended_at: float) -> None:
        self._answered_at = max(self._answered_at, ended_at)
        was_broken = self.gate.is_broken
        self.gate.answered()
        if was_broken:
            self._observer.gate_moved(is_broken=False, failures=0, seconds=0, reason="an answer")

    def _failed(self, started_at: float, reply: ProviderResponse) -> None:
        now = self._clock()
        self.gate.failed(started_at, now, reply.retry_after_seconds, self._chance())
        self._observer.gate_moved(
            is_broken=self.gate.is_broken,
            failures=self.gate.failures,
            seconds=self.gate.seconds_closed(now),
            reason=reply.reason,
        )

    def _pass_on(self) -> None:
        while (
            self._waiting
            and self._failure is None
            and self._under_way < self._concurrency
            and self.gate.lets_through(self._clock(), self._under_way)
        ):
            self._under_way += 1
            self._asked.put(self._waiting.popleft())

    def _come_back(self, seconds: float) -> list[_Done]:
        found = []
        try:
            if self.busy and seconds > 0:  # what waits for the gate is waited for, too
                found.append(self._done.get(timeout=seconds))
            while True:
                found.append(self._done.get_nowait())
        except Empty:
            return found

    def _call(self) -> None:
        while True:
            interview = self._asked.get()
            started_at = self._clock()
            reply: ProviderResponse | Exception
            try:
                reply = self._provider.complete(interview.question)
            except Exception as error:  # noqa: BLE001 - raised again where it is heard
                reply = error
            self._done.put(_Done(interview, reply, started_at, self._clock()))
