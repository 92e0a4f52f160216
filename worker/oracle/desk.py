"""Calls under way, each on a thread of its own; the gate before them; what came back.

Owned by one thread, which starts interviews and hears of them. The others do nothing but call the
provider, so a process that has to end need not wait for them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple, Protocol

from worker.errors import OracleRejects
from worker.oracle.interview import Interview
from worker.oracle.provider import ANSWERED, BUSY, REFUSED, REJECTED, UNANSWERED, Provider, Reply
from worker.oracle.retry import Gate

REJECTIONS: Final = 5  # in a row, after good answers: it is not the articles


class CallObserver(Protocol):
    """Who watches the calls."""

    def called(self, outcome: str, seconds: float, tokens: tuple[int, int], usd: float) -> None:
        """A call has come back. `tokens` are those sent and those received."""
        ...

    def gate_moved(self, *, is_broken: bool, failures: int, seconds: float, reason: str) -> None:
        """Nobody is called for so many seconds, after so many failures in a row; or, with none,
        the provider answers again."""
        ...


class _Done(NamedTuple):
    interview: Interview
    reply: Reply | Exception
    started_at: float
    ended_at: float


class Desk:
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
        self.gate = Gate()
        self._waiting: deque[Interview] = deque()  # claimed, and not called yet, or turned away
        self._under_way = 0
        self._has_answered = False
        self._rejections = 0
        self._is_shut = False  # it makes no sense to call any more
        self._asked: SimpleQueue[Interview] = SimpleQueue()
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
        if self._is_shut or not self.gate.lets_through(self._clock(), self.busy):
            return 0
        return 1 - self.busy if self.gate.is_broken else self._concurrency - self.busy

    def start(self, interview: Interview) -> None:
        """Call for it as soon as the gate lets it through. Its claim is on record."""
        self._waiting.append(interview)
        self._pass_on()

    def abandon(self, interview: Interview) -> bool:
        """It is not ours any more. Returns whether a call for it is under way."""
        interview.is_abandoned = True
        if interview in self._waiting:
            self._waiting.remove(interview)
            return False
        return interview.verdict is None and not interview.wants_claim

    def hear(self, seconds: float) -> None:
        """Let interviews hear what has come back, waiting at most so long for the first: they have
        a verdict afterwards, or want another claim. Raises OracleRejects when all have heard."""
        self._pass_on()
        failure: Exception | None = None
        for done in self._come_back(seconds):
            self._under_way -= 1
            try:
                self._judge(done)
            except OracleRejects as error:
                failure = error
        if failure is not None:
            raise failure
        self._pass_on()

    def _judge(self, done: _Done) -> None:
        """Raises what the call raised, or OracleRejects."""
        reply, interview, seconds = done.reply, done.interview, done.ended_at - done.started_at
        if isinstance(reply, Exception):
            self._waiting.append(interview)  # its claim was not used
            self._is_shut = True
            raise reply
        is_well = not self.gate.is_broken
        if reply.outcome in (ANSWERED, REFUSED):
            self._answered()
        elif reply.outcome in (BUSY, UNANSWERED):
            self._failed(done.started_at, reply)
        interview.hear(reply, seconds, is_provider_well=is_well)
        tokens = interview.tokens_of(reply)
        self._observer.called(reply.outcome, seconds, tokens, interview.prices.cost_usd(tokens))
        if reply.outcome == BUSY and not interview.is_abandoned:
            self._waiting.appendleft(interview)
        if reply.outcome == REJECTED:
            self._require_its_own_fault(interview, reply)

    def _answered(self) -> None:
        self._has_answered, self._rejections = True, 0
        was_broken = self.gate.is_broken
        self.gate.answered()
        if was_broken:
            self._observer.gate_moved(is_broken=False, failures=0, seconds=0, reason="an answer")

    def _failed(self, started_at: float, reply: Reply) -> None:
        now = self._clock()
        self.gate.failed(started_at, now, reply.retry_after_seconds, self._chance())
        self._observer.gate_moved(
            is_broken=self.gate.is_broken,
            failures=self.gate.failures,
            seconds=self.gate.seconds_closed(now),
            reason=reply.reason,
        )

    def _require_its_own_fault(self, interview: Interview, reply: Reply) -> None:
        """A rejection is the article's own fault only among good answers."""
        self._rejections += 1
        if not self._has_answered or self._rejections >= REJECTIONS:
            self._is_shut = True
            raise OracleRejects(
                f"the oracle rejects requests; the last, for article "
                f"{interview.question.article_id!r:.80}: {reply.reason}. Check "
                "NEWSIEVE_ORACLE__MODEL, __THINKING, __TEMPERATURE and __MAX_OUTPUT_TOKENS; if the "
                "article is too long for the model, lower __ARTICLE_CHARACTERS"
            )

    def _pass_on(self) -> None:
        while (
            self._waiting
            and not self._is_shut
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
            reply: Reply | Exception
            try:
                reply = self._provider.ask(interview.question)
            except Exception as error:  # noqa: BLE001 - raised again where it is heard
                reply = error
            self._done.put(_Done(interview, reply, started_at, self._clock()))
