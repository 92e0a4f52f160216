"""The state machine of one labelling task, from its first call to its result. Pure.

Each call is claimed from the budget before it is made, so a task says when it needs another one:
once after an invalid answer, and after calls without an answer until there were too many of them
while others were answered.

That there is no label is a result only once it is known whose fault that is. Until then the result
is withheld, and the owner of all tasks decides when to release it.
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
from newsieve_schemas.oracle import LabelStatus, OracleUsage

INVALID_ANSWERS: Final = 2  # the first, and one more
UNANSWERED_CALLS: Final = 3  # while others were answered: the article itself is at fault
FAILED_CALLS: Final = 5  # likewise, for calls on which the provider failed
SHOWN_CHARACTERS: Final = 200  # of an answer that is no label
CUT_OFF: Final = (
    "{}: it is longer than NEWSIEVE_ORACLE__MAX_OUTPUT_TOKENS, in which thinking counts"
)

NO_TOKENS: Final = Tokens(0, 0)


@dataclass(frozen=True, slots=True)
class LabelResult:
    """The end of a task: a label, or why there is none. `story` is the id of the article that was
    asked about in this one's place."""

    status: LabelStatus
    model_version: str = ""
    answer: Answer | None = None
    failure: str | None = None
    usage: OracleUsage | None = None
    fingerprint: str | None = None
    answer_hash: str | None = None
    is_reused: bool = False
    story: str | None = None


class Failure(NamedTuple):
    """Why a call brought no label: its kind, the reason, and what came instead, for people."""

    kind: Kind | Literal["rejected"]
    reason: str
    shown: str = ""


@dataclass(slots=True, eq=False)
class LabelingTask:
    """One article's calls and responses so far. `claims` counts the calls claimed for it, the last
    one on the day `claimed_on`, and `claimed_usd` is what they can cost at most. `result` is None
    until there is one; `withheld` is a result without a label, until it is known whose fault that
    is.
    """

    label_prompt: LabelPrompt
    prices: Prices
    calls: int = 0  # that were answered, or may have been
    claims: int = 0
    claimed_usd: float = 0.0
    claimed_on: str = ""
    needs_call: bool = True
    is_cancelled: bool = False  # its owner has dropped it
    result: LabelResult | None = None
    withheld: LabelResult | None = None
    failure: Failure | None = None  # of the last call
    # When the last call started, if it got no answer, perhaps by its fault.
    silent_since: float | None = None
    _tokens: Tokens = NO_TOKENS
    _invalid: int = 0
    _unanswered: int = 0
    _failed_calls: int = 0
    _why: str = ""  # the last call brought no label
    _last: ProviderResponse | None = None
    _latency_seconds: float = 0.0

    @property
    def tokens(self) -> Tokens:
        """The tokens that its calls have used."""
        return self._tokens

    @property
    def cost_usd(self) -> float:
        """What its calls have cost."""
        return self.prices.cost_usd(self._tokens)

    @property
    def has_claim(self) -> bool:
        """Whether a claim was not used: it serves the next call."""
        return self.claims > self.calls

    @property
    def waits_for_others(self) -> bool:
        """Whether the responses to other tasks decide about this one: more of them may begin
        then."""
        return self.withheld is not None or self.silent_since is not None

    def claimed(self, usd: float, day: str) -> None:
        """Count one more claimed call, at the most it can cost."""
        self.needs_call = False
        self.claims += 1
        self.claimed_usd += usd
        self.claimed_on = day

    def handle_response(
        self, response: ProviderResponse, seconds: float, *, others_answered: bool
    ) -> None:
        """Take the response of a call: afterwards there is a result, perhaps a withheld one, or
        the task needs another call. `others_answered` says whether other calls were answered while
        this task waited for its response, or for its next call."""
        self.failure = None
        if response.outcome == BUSY:  # the claim stands: nothing was used of it
            self._failed_calls += response.has_failed and others_answered
            is_enough = self._failed_calls >= FAILED_CALLS
            if response.has_failed:
                self._again_unless(f"the provider fails: {response.reason}", is_enough=is_enough)
            return
        if response.outcome == REJECTED:
            self.failure = Failure("rejected", response.reason)
            self.withheld = self._failed("invalid", f"rejected: {response.reason}")
            return
        self.calls += 1
        self._last, self._latency_seconds = response, seconds
        used = self.tokens_of(response)
        self._tokens = Tokens(self._tokens.input + used.input, self._tokens.output + used.output)
        if response.outcome == REFUSED:
            self.result = self._failed("refused", response.reason)
        elif response.outcome == UNANSWERED:
            self._unanswered += others_answered
            self._again_unless(response.reason, is_enough=self._unanswered >= UNANSWERED_CALLS)
        elif response.outcome == ANSWERED:
            self._read(response)

    def release(self) -> None:
        """Make the withheld result its result: the article itself is at fault."""
        self.result, self.withheld = self.withheld, None

    def tokens_of(self, response: ProviderResponse) -> Tokens:
        """Return the tokens that a response is paid for: as the provider says, else the most
        possible."""
        if not response.may_be_paid:
            return NO_TOKENS
        return response.tokens or self.prices.max_tokens(self.label_prompt)

    def fail(self, why: str) -> None:
        """End the task without a further call: as invalid after a bad answer, else as over
        budget."""
        before = f"; before it: {self._why}" if self._why else ""
        self.needs_call = False
        if self._invalid:
            self.withheld = self._failed("invalid", f"{why}{before}")
        else:
            self.result = self._failed("over_budget", f"{why}{before}")

    def _read(self, response: ProviderResponse) -> None:
        try:
            if response.is_cut_off:
                raise InvalidAnswer(CUT_OFF.format(response.reason), "cut off")
            if not response.text:
                raise InvalidAnswer(response.reason or "an empty answer", "empty")
            names = self.label_prompt.prompt.filter.definition.dimension_names
            answer = read_answer(response.text, names, response.mask)
        except InvalidAnswer as error:
            self._invalid += 1
            why, shown = str(error), response.mask.line(response.text, SHOWN_CHARACTERS)
            self.failure = Failure(error.kind, why, shown)
            is_enough = response.is_cut_off or self._invalid >= INVALID_ANSWERS
            self._again_unless(why, is_enough=is_enough)
        else:
            self.result = self._result("labelled", answer, None)

    def _again_unless(self, reason: str, *, is_enough: bool) -> None:
        self._why = reason
        if is_enough:
            self.withheld = self._failed("invalid", reason)
        else:
            self.needs_call = True

    def _failed(self, status: LabelStatus, failure: str) -> LabelResult:
        return self._result(status, None, failure)

    def _result(
        self, status: LabelStatus, answer: Answer | None, failure: str | None
    ) -> LabelResult:
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
