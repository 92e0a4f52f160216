"""What goes to the oracle and what comes back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from newsieve_schemas.article import ArticleIdentity, ArticleWithContent
from newsieve_schemas.base import Written
from newsieve_schemas.scored import (
    SUSPECT,
    Hash,
    KafkaInput,
    Probability,
    Sampling,
    Score,
    Timestamp,
)

KEY_DIGITS: Final = 12  # of the hash in an oracle key's name: enough to tell prompts apart

OracleInteger = Annotated[int, Field(ge=0, le=10)]
# What became of an article that the oracle was, or would have been, asked about.
LabelStatus = Literal["labelled", "refused", "invalid", "over_budget", "duplicate"]
LABELLED: Final = "labelled"
REFUSED: Final = "refused"
INVALID: Final = "invalid"
OVER_BUDGET: Final = "over_budget"
DUPLICATE: Final = "duplicate"
HUMAN: Final = "human"  # the provider of a person's labels; the model is who reviewed


class OracleRequest(Written):
    """An article to be labelled, with what the student said of it."""

    article: ArticleWithContent
    filter: str
    filter_version: str
    filter_hash: Hash
    label_hash: Hash
    student: Hash
    dtype: str | None = Field(
        default=None,  # older requests, which may still wait, lack it
        description="The precision that the student computed in, as ScoredArticle's; null for an "
        "anchor.",
    )
    scores: dict[str, Score] | None = Field(description="The student's; null for an anchor.")
    weighted_average: float | None
    score: float | None
    content_rules: list[str]
    tier: str | None
    suspect: list[str] = Field(default=[], description=SUSPECT)  # older requests lack it
    sampling: Sampling
    requested_at: Timestamp


class OracleKey(Written):
    """Who labelled. Labels of different keys never mix in one statistic."""

    provider: str
    model: str = Field(description="As requested.")
    model_version: str = Field(
        description="As the provider returned it; empty when it returned none."
    )
    prompt_hash: Hash
    schema_hash: Hash
    thinking: str | None = Field(description="Thinking level, where the model has one.")
    temperature: float | None

    @property
    def name(self) -> str:
        return oracle_key_name(self.model_dump())


def oracle_key_name(key: Mapping[str, Any]) -> str:
    """An OracleKey's fields in a word, for people, files and statistics. Provider, model and
    returned version can be read, the rest is in a hash: different keys have different names."""
    shown = [str(key.get(name)) for name in ("provider", "model", "model_version")]
    hidden = [str(key.get(n)) for n in ("prompt_hash", "schema_hash", "thinking", "temperature")]
    digest = hashlib.sha256("\n".join(hidden).encode()).hexdigest()[:KEY_DIGITS]
    return "/".join([*shown, digest])


class OracleUsage(Written):
    """What one label cost: all of its calls together."""

    input_tokens: int = Field(ge=0, description="An upper bound where the provider gave none.")
    output_tokens: int = Field(ge=0, description="Thinking included; bounded likewise.")
    cost_usd: float = Field(ge=0)
    latency_seconds: float = Field(ge=0, description="Of the last call.")
    attempts: int = Field(
        ge=1,
        description="Calls that were answered, or may have been: all that may have been paid for.",
    )


class OracleScore(Written):
    """The oracle's label beside the student's scores. Refusals are records too.

    Exactly one per request. A `duplicate` has no label: its story was asked about already, in the
    article `story`, for the same filter, student, stratum and purpose. `calls_without_record` and
    `reused` say when a label was, or may have been, paid for twice, or not at all.
    """

    article: ArticleIdentity
    filter: str
    filter_version: str
    filter_hash: Hash
    label_hash: Hash
    student: Hash
    status: LabelStatus
    oracle: OracleKey
    oracle_scores: dict[str, OracleInteger] | None
    oracle_tier: str | None
    content_type: str | None
    reasoning: str | None
    key_markers: list[str] | None = Field(description="What in the text decided the scores.")
    failure: str | None = Field(description="Why there is no label, for people.")
    student_scores: dict[str, Score] | None
    student_tier: str | None
    content_rules: list[str]
    suspect: list[str] = Field(default=[], description=SUSPECT)  # older records lack it
    sampling: Sampling
    effective_pi: Probability = Field(
        description="After the oracle's hard cap: pi, or what the cap left of it. Weights use it."
    )
    usage: OracleUsage | None = Field(description="Null when nothing was asked for this record.")
    calls_without_record: int = Field(
        ge=0,
        description="Earlier calls for this request, by an oracle that was killed, whose answers "
        "were lost: they may have been paid for, too.",
    )
    reused: bool = Field(
        description="The label is an earlier record's, of the same text by the same oracle."
    )
    fingerprint: str | None = Field(
        description="The provider's, of its own configuration. No part of the key: fleets run "
        "several at once."
    )
    answer_hash: Hash | None = Field(description="Of the raw answer.")
    story: str | None = Field(
        default=None,  # older records lack it
        description="The id of the article of the same story that the oracle was asked about: this "
        "one's own unless it is a duplicate. Null for an anchor.",
    )
    story_sketch: str | None = Field(
        default=None,  # older records lack it
        description="By which copies of the text are known: 64 bins of two bytes, in base64. Null "
        "for an anchor.",
    )
    input: KafkaInput = Field(description="Where the request stood.")
    labelled_at: Timestamp
