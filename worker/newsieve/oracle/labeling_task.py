"""One question from its first call to its verdict. Pure.

A call that may have been paid for is claimed from the budget before it is made, so an interview
says when it wants another one: once after an invalid answer, and after a call that got none, until
it has had enough of those while others were answered.

That there is no label is a verdict only once it is known whose fault that is: until then it is
withheld, for whoever hears of all interviews to release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from newsieve.oracle.answer import Answer, InvalidAnswer, Kind, read_answer
from newsieve.oracle.prompt import LabelPrompt
from newsieve.oracle.providers.base import (
    ANSWERED,
    BUSY,
    REFUSED,
    REJECTED,
    UNANSWERED,
    Prices,
    ProviderResponse,
    Tokens,
)
from newsieve_schemas.oracle import OracleUsage

INVALID_ANSWERS: Final = 2  # the first, and one more
UNANSWERED_CALLS: Final = 3  # while others are answered: the article itself is at fault
FAILED_CALLS: Final = 5  # likewise, of calls on which the provider failed
SHOWN_CHARACTERS: Final = 200  # of an answer that is no label
CUT_OFF: Final = (
    "{}: it is longer than NEWSIEVE_ORACLE__MAX_OUTPUT_TOKENS, in which thinking counts"
)

NO_TOKENS: Final = Tokens(0, 0)

Status = Literal["labelled", "refused", "invalid", "over_budget"]


@dataclass(frozen=True, slots=True)
class LabelResult:
    """What becomes of a question: a label, or why there is none."""

    status: Status
    model_version: str = ""
    answer: Answer | None = None
    failure: str | None = None
    usage: OracleUsage | None = None
    fingerprint: str | None = None
    answer_hash: str | None = None
    is_reused: bool = False


class Failure(NamedTuple):
    """Why a call brought no label: in which way, why, and what came instead, for people."""

    kind: Kind | Literal["rejected"]
    reason: str
    shown: str = ""


@dataclass(slots=True, eq=False)
class LabelingTask:
    """What has been asked and heard so far. `claims` counts the calls claimed for it, last on the
    day `claimed_on`, for which `claimed_usd` is set aside; `verdict` is None until there is one,
    `withheld` is one that is not known to be the article's own."""

    question: LabelPrompt
    prices: Prices
    calls: int = 0  # that were answered, or may have been
    claims: int = 0
    claimed_usd: float = 0.0
    claimed_on: str = ""
    wants_claim: bool = True
    is_abandoned: bool = False  # somebody else's by now
    verdict: LabelResult | None = None
    withheld: LabelResult | None = None
    failure: Failure | None = None  # of the last call
    silent_since: float | None = None  # the last call got no answer, by its fault perhaps: when
    _tokens: Tokens = NO_TOKENS
    _invalid: int = 0
    _unanswered: int = 0
    _failed_calls: int = 0
    _why: str = ""  # the last call brought no label
    _last: ProviderResponse | None = None
    _latency_seconds: float = 0.0

    @property
    def tokens(self) -> Tokens:
        return self._tokens

    @property
    def cost_usd(self) -> float:
        return self.prices.cost_usd(self._tokens)

    @property
    def has_claim(self) -> bool:
        """One that was not used: it serves the next call."""
        return self.claims > self.calls

    @property
    def waits_for_others(self) -> bool:
        """How they fare decides about it: there is more room for them meanwhile."""
        return self.withheld is not None or self.silent_since is not None

    def claimed(self, usd: float, day: str) -> None:
        """One more call is claimed for it, at the most it can cost."""
        self.wants_claim = False
        self.claims += 1
        self.claimed_usd += usd
        self.claimed_on = day

    def hear(self, reply: ProviderResponse, seconds: float, *, others_answered: bool) -> None:
        """Take a call's reply: afterwards there is a verdict, perhaps withheld, or another call is
        wanted. `others_answered`: while this one waited for its answer, or was not asked again."""
        self.failure = None
        if reply.outcome == BUSY:  # the claim stands: nothing was used of it
            self._failed_calls += reply.has_failed and others_answered
            is_enough = self._failed_calls >= FAILED_CALLS
            if reply.has_failed:
                self._again_unless(f"the provider fails: {reply.reason}", is_enough=is_enough)
            return
        if reply.outcome == REJECTED:
            self.failure = Failure("rejected", reply.reason)
            self.withheld = self._failed("invalid", f"rejected: {reply.reason}")
            return
        self.calls += 1
        self._last, self._latency_seconds = reply, seconds
        used = self.tokens_of(reply)
        self._tokens = Tokens(self._tokens.input + used.input, self._tokens.output + used.output)
        if reply.outcome == REFUSED:
            self.verdict = self._failed("refused", reply.reason)
        elif reply.outcome == UNANSWERED:
            self._unanswered += others_answered
            self._again_unless(reply.reason, is_enough=self._unanswered >= UNANSWERED_CALLS)
        elif reply.outcome == ANSWERED:
            self._read(reply)

    def release(self) -> None:
        """What was withheld is its own fault."""
        self.verdict, self.withheld = self.withheld, None

    def tokens_of(self, reply: ProviderResponse) -> Tokens:
        """What a reply is paid for: as the provider says, else the most it can be."""
        if not reply.may_be_paid:
            return NO_TOKENS
        return reply.tokens or self.prices.most(self.question)

    def give_up(self, why: str) -> None:
        """There will be no further call. A bad answer is the oracle's failure, none is not."""
        heard = f"; before it: {self._why}" if self._why else ""
        self.wants_claim = False
        if self._invalid:
            self.withheld = self._failed("invalid", f"{why}{heard}")
        else:
            self.verdict = self._failed("over_budget", f"{why}{heard}")

    def _read(self, reply: ProviderResponse) -> None:
        try:
            if reply.is_cut_off:
                raise InvalidAnswer(CUT_OFF.format(reply.reason), "cut off")
            if not reply.text:
                raise InvalidAnswer(reply.reason or "an empty answer", "empty")
            names = self.question.prompt.filter.definition.dimension_names
            answer = read_answer(reply.text, names, reply.mask)
        except InvalidAnswer as error:
            self._invalid += 1
            why, shown = str(error), reply.mask.line(reply.text, SHOWN_CHARACTERS)
            self.failure = Failure(error.kind, why, shown)
            is_enough = reply.is_cut_off or self._invalid >= INVALID_ANSWERS
            self._again_unless(why, is_enough=is_enough)
        else:
            self.verdict = self._verdict("labelled", answer, None)

    def _again_unless(self, reason: str, *, is_enough: bool) -> None:
        self._why = reason
        if is_enough:
            self.withheld = self._failed("invalid", reason)
        else:
            self.wants_claim = True

    def _failed(self, status: Status, failure: str) -> LabelResult:
        return self._verdict(status, None, failure)

    def _verdict(self, status: Status, answer: Answer | None, failure: str | None) -> LabelResult:
        last = self._last
        return LabelResult(
            status=status,
            model_version=last.model_version if last is not None else "",
            answer=answer,
            failure=failure,
            usage=self._usage() if self.calls else None,
            fingerprint=last.fingerprint if last is not None else None,
            answer_hash=last.answer_hash if last is not None else None,
        )

    def _usage(self) -> OracleUsage:
        return OracleUsage(
            input_tokens=self._tokens.input,
            output_tokens=self._tokens.output,
            cost_usd=self.cost_usd,
            latency_seconds=round(self._latency_seconds, 3),
            attempts=self.calls,
        )
