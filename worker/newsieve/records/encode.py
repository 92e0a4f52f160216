"""Encodes decisions as records: ScoredArticle, TieredArticle, OracleRequest, with CloudEvents
headers.

There is one encoder for each filter, and what all records of a filter share is built once. The
fields have the order of the models. This module knows the topic of a record by name, and nothing of
how the record gets there.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import uuid
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

import orjson

from newsieve.filters.article import Article
from newsieve.filters.content_rules import RulesMet
from newsieve.filters.registry import Filter
from newsieve.filters.sampling import LOW, PURPOSE, SURFACED, SUSPECT, Draw, Sampler, SamplingPolicy
from newsieve.records.decode import Headers, RawRecord, header
from newsieve_schemas import events
from newsieve_schemas.topics import ORACLE_REQUESTS, SCORED, tier_topic_name, topic_name

EVENT_NAMESPACE: Final = uuid.UUID("0b6a5c3e-52f1-5d7a-8c39-6e0f4a1d9b27").bytes
_NAMESPACE_HASHED: Final = hashlib.sha1(EVENT_NAMESPACE, usedforsecurity=False)
SUSPECT_HEADER: Final = ("suspect", b"true")
TRACE_PARENT: Final = "traceparent"
TRACE_PARENT_BYTES: Final = 55  # of the W3C's version 00, the only one
_TRACE_PARENT: Final = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_OPENING: Final = b'{"article":'
# The RFC's variant: the two highest bits of this hexadecimal digit are 10.
_VARIANT: Final = {digit: f"{int(digit, 16) & 0x3 | 0x8:x}" for digit in "0123456789abcdef"}
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class OutRecord(NamedTuple):
    """A record to produce; where `timestamp_ms` is None, the producer's clock sets it."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int | None = None


class Scoring(NamedTuple):
    """One article's scores and the decision made from them."""

    scores: list[float]
    weighted_average: float
    score: float
    gates: tuple[str, ...]
    caps: tuple[str, ...]
    tier: str
    confidence: float | None
    tokens: int
    truncated: bool


class EncodedArticle(NamedTuple):
    """An article with what its records share. `identity` is the article but for its content, as
    JSON; `suspect` says how its text speaks to a model; `trace` is passed on in each record."""

    record: RawRecord
    article: Article
    identity: bytes
    suspect: tuple[str, ...]
    trace: Headers


def encode_article(
    record: RawRecord, article: Article, suspect: tuple[str, ...] = ()
) -> EncodedArticle:
    """Encode an article once, for all filters and topics."""
    facts = {
        "id": article.id,
        "title": article.title,
        "url": article.url,
        "source": article.source,
        "language": article.language,
        "published_at": article.published_at,
        "content_hash": article.content_hash,
    }
    return EncodedArticle(
        record, article, orjson.dumps(facts), suspect, trace_headers(record.headers)
    )


class FilterEncoder:
    """Makes the records of one filter's outcomes."""

    def __init__(
        self,
        filter_: Filter,
        student: str,
        dtype: str,
        sampling: SamplingPolicy,
        prefix: str,
        source: str,
        scored_topic: str = SCORED,
    ) -> None:
        """`student` is the student's hash, `dtype` the precision that it computes in; `prefix` is
        the topics' prefix, `source` the ce_source."""
        definition = filter_.definition
        self.filter = filter_
        self._dimensions = definition.dimension_names
        self._sampler = Sampler(sampling)
        self._source = source.encode()
        identity = {
            "filter": filter_.name,
            "filter_version": filter_.version,
            "filter_hash": filter_.filter_hash,
            "label_hash": filter_.label_hash,
            "student": student,
        }
        self._scored_identity = orjson.dumps({**identity, "dtype": dtype})[1:-1]
        self._blocked_identity = orjson.dumps({**identity, "dtype": None})[1:-1]
        self._id_suffix = f"\n{filter_.filter_hash}\n{student}\n"
        self._scored_topic = topic_name(prefix, scored_topic)
        self._oracle_topic = topic_name(prefix, ORACLE_REQUESTS)
        self._tier_topics = {
            tier: tier_topic_name(prefix, filter_.name, tier) for tier in definition.published_tiers
        }
        self._constant_headers = cache(self._build_constant_headers)

    def blocked(self, subject: EncodedArticle, met: RulesMet, now: str) -> OutRecord:
        """Return the ScoredArticle of an article that a content rule blocked. `now` is in ISO
        8601."""
        facts = {
            "outcome": "blocked",
            "scores": None,
            "weighted_average": None,
            "score": None,
            "gates": (),
            "caps": (),
            "content_rules": met.names,
            "blocked_by": met.blocked_by,
            "tier": None,
            "tier_confidence": None,
            "tokens": None,
            "truncated": None,
            "suspect": subject.suspect,
            "sampling": None,
            "input": subject.record.input,
            "scored_at": now,
        }
        value = _value(subject.identity, self._blocked_identity, facts)
        headers = self._headers(events.SCORED, "blocked", None, subject, now)
        return OutRecord(self._scored_topic, subject.article.id.encode(), value, headers)

    def scored(
        self, subject: EncodedArticle, met: RulesMet, scoring: Scoring, now: str
    ) -> list[OutRecord]:
        """Return the ScoredArticle, then the tier's record and the oracle's request, where the
        article has them."""
        tier = scoring.tier
        key = subject.article.id.encode()
        tier_topic = self._tier_topics.get(tier)
        article = subject.article
        stratum = SUSPECT if subject.suspect else SURFACED if tier_topic else LOW
        sampling = self._sampler.draw(article.id, article.content_hash, stratum)
        facts = {
            "outcome": "scored",
            "scores": dict(zip(self._dimensions, scoring.scores, strict=True)),
            "weighted_average": scoring.weighted_average,
            "score": scoring.score,
            "gates": scoring.gates,
            "caps": scoring.caps,
            "content_rules": met.names,
            "blocked_by": None,
            "tier": tier,
            "tier_confidence": scoring.confidence,
            "tokens": scoring.tokens,
            "truncated": scoring.truncated,
            "suspect": subject.suspect,
            "sampling": self._sampling_facts(sampling),
            "input": subject.record.input,
            "scored_at": now,
        }
        value = _value(subject.identity, self._scored_identity, facts)
        headers = self._headers(events.SCORED, "scored", tier, subject, now)
        found = [OutRecord(self._scored_topic, key, value, headers)]
        if not tier_topic and not sampling.selected:
            return found
        whole = _with_content(subject)
        if tier_topic:
            headers = self._headers(events.TIERED, "scored", tier, subject, now)
            rest = value[len(_OPENING) + len(subject.identity) :]
            found.append(OutRecord(tier_topic, key, b"%b%b%b" % (_OPENING, whole, rest), headers))
        if sampling.selected:
            headers = self._headers(events.ORACLE_REQUESTED, "scored", tier, subject, now)
            value = _value(whole, self._scored_identity, _request_facts(facts, now))
            found.append(OutRecord(self._oracle_topic, key, value, headers))
        return found

    def _headers(
        self, event_type: str, outcome: str, tier: str | None, subject: EncodedArticle, now: str
    ) -> Headers:
        article = subject.article
        name = f"{article.id}\n{article.content_hash}{self._id_suffix}{event_type}"
        return [
            *self._constant_headers(event_type, outcome, tier),
            ("ce_id", event_id(name)),
            ("ce_time", now.encode()),
            *((SUSPECT_HEADER,) if subject.suspect else ()),
            *subject.trace,
        ]

    def _build_constant_headers(self, event_type: str, outcome: str, tier: str | None) -> Headers:
        headers = opening_headers(event_type, self._source)
        headers += filter_headers(self.filter.name, self.filter.version)
        headers.append(("outcome", outcome.encode()))
        if tier is not None:
            headers.append(("tier", tier.encode()))
        return headers

    def _sampling_facts(self, chosen: Draw) -> dict[str, Any]:
        policy = self._sampler.policy
        return {
            "selected": chosen.selected,
            "policy": policy.name,
            "epoch": policy.epoch,
            "stratum": chosen.stratum,
            "purpose": PURPOSE,
            "pi": chosen.pi,
            "u": chosen.u if policy.key is None else None,
        }


def opening_headers(event_type: str, source: bytes) -> Headers:
    """Return the headers that every CloudEvent of newsieve begins with; `ce_id` and `ce_time`
    follow."""
    return [
        ("ce_specversion", events.SPEC_VERSION.encode()),
        ("ce_type", event_type.encode()),
        ("ce_source", source),
        ("content-type", events.CONTENT_TYPE.encode()),
    ]


def filter_headers(name: str, version: str) -> Headers:
    return [("filter", name.encode()), ("filter_version", version.encode())]


def trace_headers(incoming: Headers | None) -> Headers:
    """Return the headers of an incoming trace. No other header is passed on, because one may be as
    large as a record."""
    value = header(incoming, TRACE_PARENT)
    if value is None or len(value) != TRACE_PARENT_BYTES or not _TRACE_PARENT.fullmatch(value):
        return []
    return [(TRACE_PARENT, value)]


def _value(article: bytes, identity: bytes, facts: dict[str, Any]) -> bytes:
    return b"%b%b,%b,%b" % (_OPENING, article, identity, orjson.dumps(facts)[1:])


def _with_content(subject: EncodedArticle) -> bytes:
    content = orjson.dumps(subject.article.content)
    return b'%b,"content":%b}' % (subject.identity[:-1], content)


def _request_facts(scored: dict[str, Any], now: str) -> dict[str, Any]:
    """Return the fields that an OracleRequest takes over from the ScoredArticle."""
    taken = (
        "scores",
        "weighted_average",
        "score",
        "content_rules",
        "tier",
        "suspect",
        "sampling",
    )
    return {**{name: scored[name] for name in taken}, "requested_at": now}


def event_id(name: str) -> bytes:
    """Return the UUIDv5 of a name in newsieve's namespace (RFC 9562, section 5.5), as text."""
    hasher = _NAMESPACE_HASHED.copy()
    hasher.update(name.encode())
    text = hasher.hexdigest()
    variant = _VARIANT[text[16]]
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}".encode()


@lru_cache(maxsize=1_024)  # many records come in one millisecond
def timestamp(milliseconds: int | None) -> str | None:
    """Return a Kafka timestamp as ISO 8601 in UTC; None for one that is missing or no date."""
    if milliseconds is None or milliseconds < 0:
        return None
    seconds, rest = divmod(milliseconds, 1_000)
    try:
        date = _EPOCH + dt.timedelta(seconds=seconds)
    except OverflowError:
        return None
    return f"{date.isoformat().removesuffix('+00:00')}.{rest:03d}Z"
