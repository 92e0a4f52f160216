"""What goes to the oracle and what comes back."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.article import ArticleIdentity, ArticleWithContent
from schemas.base import Written
from schemas.scored import Hash, Probability, Sampling, Score, Timestamp

OracleInteger = Annotated[int, Field(ge=0, le=10)]


class OracleRequest(Written):
    """An article to be labelled, with what the student said of it."""

    article: ArticleWithContent
    filter: str
    filter_version: str
    filter_hash: Hash
    label_hash: Hash
    student: Hash
    scores: dict[str, Score] | None = Field(description="The student's; null for an anchor.")
    weighted_average: float | None
    score: float | None
    content_rules: list[str]
    tier: str | None
    sampling: Sampling
    requested_at: Timestamp


class OracleKey(Written):
    """Who labelled. Labels of different keys never mix in one statistic."""

    provider: str
    model: str = Field(description="As requested.")
    model_version: str = Field(description="As the provider returned it.")
    prompt_hash: Hash
    schema_hash: Hash
    thinking: str | None = Field(description="Thinking level, where the model has one.")
    temperature: float | None


class OracleUsage(Written):
    """What one answer cost."""

    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    cost_usd: float = Field(ge=0)
    latency_seconds: float = Field(ge=0)
    attempts: int = Field(ge=1)


class OracleScore(Written):
    """The oracle's label beside the student's scores. Refusals are records too."""

    article: ArticleIdentity
    filter: str
    filter_version: str
    filter_hash: Hash
    label_hash: Hash
    student: Hash
    status: Literal["labelled", "refused", "invalid", "over_budget"]
    oracle: OracleKey
    oracle_scores: dict[str, OracleInteger] | None
    oracle_tier: str | None
    content_type: str | None
    reasoning: str | None
    student_scores: dict[str, Score] | None
    student_tier: str | None
    content_rules: list[str]
    sampling: Sampling
    effective_pi: Probability = Field(description="After the oracle's hard cap.")
    usage: OracleUsage | None
    answer_hash: Hash | None = Field(description="Of the raw answer.")
    labelled_at: Timestamp
