"""ScoredArticle and its relatives: what the worker publishes for every (raw record, filter)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from newsieve_schemas.article import ArticleIdentity, ArticleWithContent
from newsieve_schemas.base import Written

Hash = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Score = Annotated[float, Field(ge=0, le=10)]
Probability = Annotated[float, Field(ge=0, le=1)]
Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
SUSPECT = (
    "In which ways the text speaks to a model: instruction, scores, role_marker, answer, "
    "hidden_text. Empty for most articles; it decides nothing about the tier."
)


class Sampling(Written):
    """Whether the article goes to the oracle. A function of its content, policy and key alone."""

    selected: bool = Field(description="True iff u < pi.")
    policy: str = Field(
        description="Of a draw with a secret key it ends in +key- and the key's fingerprint."
    )
    epoch: str = Field(description="Keys the draw: a new epoch draws anew.")
    stratum: Literal["low", "surfaced", "suspect"] = Field(
        description="Suspect: the text speaks to a model, whatever its tier. Surfaced: the tier is "
        "published."
    )
    purpose: Literal["monitor", "training", "anchor"]
    pi: Probability = Field(description="Inclusion probability.")
    u: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        description="blake2b(id, key=epoch)[:8] / 2**64, big endian. Null of a draw with a secret "
        'key, which is blake2b(id ‖ "\\n" ‖ content_hash, key=a key derived from secret and '
        "epoch)[:8] / 2**64: who read it could choose articles for the rest of the epoch."
    )


class KafkaInput(Written):
    """Where the raw record stood."""

    topic: str
    partition: int
    offset: int
    timestamp: Timestamp | None


class FileInput(Written):
    """Where the raw line stood, for `newsieve score`."""

    file: str
    line: int = Field(ge=0, description="0-based.")


class ScoredArticle(Written):
    """One outcome of one filter for one raw record: scored, or blocked by a content rule.

    All decisions can be derived again from `scores` and `content_rules` (`newsieve tier`).
    """

    article: ArticleIdentity
    filter: str
    filter_version: str
    filter_hash: Hash = Field(description="Covers all that changes a decision.")
    label_hash: Hash = Field(description="Covers what a label means.")
    student: Hash = Field(description="Covers the student folder and its base model.")
    dtype: str | None = Field(
        description="The precision that the student computed in, fp32 or bf16; null where nothing "
        "was scored."
    )
    outcome: Literal["scored", "blocked"]
    scores: dict[str, Score] | None = Field(description="Rounded once, to 4 decimals.")
    weighted_average: float | None = Field(description="Before gates and caps.")
    score: float | None = Field(description="After gates and caps.")
    gates: list[str] = Field(description="Gates whose limit is below weighted_average.")
    caps: list[str] = Field(description="Caps whose limit is below weighted_average.")
    content_rules: list[str] = Field(description="Every content rule the article met.")
    blocked_by: str | None
    tier: str | None
    tier_confidence: Probability | None = Field(
        description="Probability of the tier given the student's residuals; null without them."
    )
    tokens: int | None = Field(ge=0, description="Tokens the student read.")
    truncated: bool | None = Field(description="The text had more tokens than the student reads.")
    suspect: list[str] = Field(default=[], description=SUSPECT)  # older records lack it
    sampling: Sampling | None
    input: KafkaInput | FileInput
    scored_at: Timestamp


class TieredArticle(ScoredArticle):
    """A ScoredArticle on its tier's topic, with the text, so that a subscriber needs no lookup."""

    article: ArticleWithContent
