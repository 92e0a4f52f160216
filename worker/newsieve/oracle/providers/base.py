"""The contract with a provider: one prompt, one call, one response. It knows no retries."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Protocol

from newsieve.oracle.prompt import LabelPrompt
from newsieve.outgoing.redaction import NOTHING_MASKED, Redactor

ANSWERED: Final = "answered"
REFUSED: Final = "refused"
REJECTED: Final = "rejected"
DENIED: Final = "denied"
BUSY: Final = "busy"
UNANSWERED: Final = "unanswered"

A_MILLION: Final = 1_000_000
BYTES_PER_TOKEN: Final = 4  # of English; other languages have fewer
USUAL_OUTPUT_TOKENS: Final = 300  # of an answer to our prompts
FRAMING_TOKENS: Final = 200  # of roles and templates around what we send


class Tokens(NamedTuple):
    """What a call used. `output` includes thinking, which providers bill as output."""

    input: int
    output: int


@dataclass(frozen=True, slots=True)
class ProviderResponse:
    """What became of one call.

    answered    the model gave `text`, good or bad; paid for
    refused     it would not, or its provider would not let it; paid for
    rejected    the provider finds fault with the request: with the article, or with how all are
                asked; not paid for
    denied      no article will be answered before a person corrects the key, the account, or how
                all are asked; not paid for
    busy        nothing was done: a rate limit, a fault, no connection; not paid for
    unanswered  the call was sent and no answer came back: nobody knows whether it is paid for
    """

    outcome: Literal["answered", "refused", "rejected", "denied", "busy", "unanswered"]
    text: str = ""  # as it came; `mask` is for what is shown of it
    reason: str = ""
    is_cut_off: bool = False  # by the limit on its tokens
    model_version: str = ""
    fingerprint: str | None = None
    tokens: Tokens | None = None
    answer_hash: str | None = None
    retry_after_seconds: float | None = None
    has_failed: bool = False  # perhaps because of this article: no rate limit, no absence
    mask: Redactor = field(default=NOTHING_MASKED, repr=False)

    @property
    def may_be_paid(self) -> bool:
        """Whether the call is paid for, or may be."""
        return self.outcome in (ANSWERED, REFUSED, UNANSWERED)


class Provider(Protocol):
    """A model, or whatever stands in for one, that labels articles. It is called from several
    threads at once."""

    def complete(self, prompt: LabelPrompt) -> ProviderResponse:
        """Make one call, within the provider's time limit. Does not raise for a failed call."""
        ...

    def close(self) -> None:
        """Close the connections. Calls in flight return no answer."""
        ...


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices in USD per million tokens, and how many tokens an answer may have at most."""

    input_usd: float
    output_usd: float
    max_output_tokens: int

    def cost_usd(self, tokens: Tokens) -> float:
        """Return what these tokens cost."""
        return (tokens.input * self.input_usd + tokens.output * self.output_usd) / A_MILLION

    def expected_tokens(self, label_prompt: LabelPrompt) -> Tokens:
        """Return about what a call with this prompt uses, without thinking."""
        return Tokens(_bytes_of(label_prompt) // BYTES_PER_TOKEN, USUAL_OUTPUT_TOKENS)

    def max_tokens(self, label_prompt: LabelPrompt) -> Tokens:
        """Return more than any call with this prompt uses: no text has more tokens than bytes."""
        return Tokens(_bytes_of(label_prompt) + FRAMING_TOKENS, self.max_output_tokens)


def _bytes_of(label_prompt: LabelPrompt) -> int:
    return label_prompt.prompt.overhead_bytes + len(label_prompt.text.encode())


def hash_of(raw: bytes) -> str:
    """Return the SHA-256 of a raw answer."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()
