"""The one table of topics. Commands, tests and the AsyncAPI document are all derived from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from newsieve_schemas.article import RawArticle
from newsieve_schemas.base import Read, Written
from newsieve_schemas.dead_letter import DeadLetterHeaders
from newsieve_schemas.drift import CanaryReport, ControlDecision, DriftAlert, DriftState
from newsieve_schemas.ingest import IngestState
from newsieve_schemas.oracle import OracleRequest, OracleScore
from newsieve_schemas.scored import ScoredArticle, TieredArticle

DEFAULT_PREFIX: Final = "articles"
PARTITIONS: Final = 6
ORDERED: Final = 1  # partitions of topics whose records need one total order
MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024

RAW: Final = "raw"
SCORED: Final = "scored"
TIER: Final = "tier"
DEAD_LETTER: Final = "dead-letter"
ORACLE_REQUESTS: Final = "oracle.requests"
ORACLE_SCORES: Final = "oracle.scores"
SHADOW: Final = "shadow"
CANARIES: Final = "canaries"
DRIFT_ALERTS: Final = "drift.alerts"
DRIFT_STATE: Final = "drift.state"
CONTROL: Final = "control"
FEEDS: Final = "feeds"


@dataclass(frozen=True, slots=True)
class TopicKind:
    """One row of the table. `record` is the value's model; for dead letters, the headers'."""

    suffix: str
    key: str
    record: type[Written | Read]
    writers: tuple[str, ...]
    partitions: int = PARTITIONS
    cleanup: Literal["delete", "compact"] = "delete"


KINDS: Final = (
    TopicKind(RAW, "any", RawArticle, ("ingestion",)),
    TopicKind(SCORED, "article id", ScoredArticle, ("worker",)),
    TopicKind(TIER, "article id", TieredArticle, ("worker",)),
    TopicKind(DEAD_LETTER, "original", DeadLetterHeaders, ("worker", "oracle", "drift")),
    TopicKind(ORACLE_REQUESTS, "article id", OracleRequest, ("worker", "drift")),
    TopicKind(ORACLE_SCORES, "article id", OracleScore, ("oracle",)),
    TopicKind(SHADOW, "article id", ScoredArticle, ("worker",)),
    TopicKind(CANARIES, "filter", CanaryReport, ("worker",)),
    TopicKind(DRIFT_ALERTS, "fingerprint", DriftAlert, ("drift",), ORDERED),
    TopicKind(DRIFT_STATE, "fingerprint", DriftState, ("drift",), ORDERED, "compact"),
    TopicKind(FEEDS, "feed or file", IngestState, ("ingest",), cleanup="compact"),
    TopicKind(CONTROL, "scope", ControlDecision, ("operator", "oracle"), ORDERED, "compact"),
)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic by its full name."""

    name: str
    kind: TopicKind


def topic_name(prefix: str, suffix: str) -> str:
    return f"{prefix}.{suffix}"


def tier_topic_name(prefix: str, filter_name: str, tier: str) -> str:
    return topic_name(prefix, f"{TIER}.{filter_name}.{tier}".replace("_", "-"))


def topics(prefix: str, published_tiers: Mapping[str, Sequence[str]]) -> list[Topic]:
    """All topics for these filters, given each filter's published tiers."""
    found: list[Topic] = []
    for kind in KINDS:
        if kind.suffix == TIER:
            found += [
                Topic(tier_topic_name(prefix, name, tier), kind)
                for name, tiers in published_tiers.items()
                for tier in tiers
            ]
        else:
            found.append(Topic(topic_name(prefix, kind.suffix), kind))
    return found
