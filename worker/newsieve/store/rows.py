"""What the store keeps of each record: raw articles, outcomes, labels, dead letters, alerts.

Records come from topics that others may write to, too: what is none of newsieve's is refused with
RecordError. It knows neither Kafka's clients nor tables.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

import orjson

from newsieve.errors import InvalidRecord, NotAnObject
from newsieve.filters.article import Article
from newsieve.filters.rendering import rendered_content, rendered_title
from newsieve.records.decode import RawRecord, header
from newsieve_schemas.dead_letter import HEADER_PREFIX

BLOCKED: Final = "blocked"
HASH_PREFIX: Final = "sha256:"
EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
FACT_NAMESPACE: Final = uuid.UUID("5c1f1c5e-2f0b-5d43-9d4f-3c3f6f6a7d10")
# Of what a letter's record has: more is in its topic, not on a page.
LETTER_BYTES: Final = 256 * 1024
MOST_DATE_CHARACTERS: Final = 100
# Of an outcome's or a label's record: several times what the longest fields of the contract need.
MOST_RECORD_BYTES: Final = 2 * 1024 * 1024
LARGEST: Final = 2**31 - 1  # of partitions
LATEST_MS: Final = 253_402_300_799_999  # the end of the year 9999


class TextRow(NamedTuple):
    """A raw article's text as it is rendered, by the hash that its outcomes name."""

    content_hash: bytes
    title: str | None
    content: str | None
    came_ms: int
    article_id: str


class OutcomeRow(NamedTuple):
    """One outcome of one filter. `tier` is `blocked` where a content rule blocked the article;
    `dated_ms` is the article's own date where it has a readable one, else when it came."""

    fact: bytes
    content_hash: bytes
    title: str | None
    filter: str
    tier: str
    score: float | None
    source: str | None
    language: str | None
    article_id: str
    dated_ms: int
    scored_ms: int
    latency_ms: int | None
    record: bytes


class LabelRow(NamedTuple):
    """What an oracle said of an article."""

    fact: bytes
    content_hash: bytes
    title: str | None
    filter: str
    oracle: str
    labelled_ms: int
    article_id: str
    record: bytes


class LetterRow(NamedTuple):
    """A dead letter with the original's bytes, the beginning of large ones."""

    partition: int
    offset: int
    stage: str
    error: str
    message: str
    filter: str | None
    failed_ms: int
    key: bytes | None
    value: bytes | None
    headers: bytes


class AlertRow(NamedTuple):
    """A transition of a drift monitor."""

    fact: bytes
    incident_id: str
    filter: str
    raised_ms: int
    record: bytes


class CanaryRow(NamedTuple):
    """The latest canary report of a student."""

    filter: str
    student: str
    record: bytes


class ReplayRow(NamedTuple):
    """Which dead letters of a partition were put back: a JSON array of [first, last] offsets."""

    partition: int
    ranges: str


Row = ReplayRow | TextRow | OutcomeRow | LabelRow | LetterRow | AlertRow | CanaryRow


def text_row(article: Article, came_ms: int) -> TextRow:
    """Return the row of a decoded raw article, which came at that time."""
    title, content = rendered_title(article.title), rendered_content(article.content)
    digest = _digest(article.content_hash)
    return TextRow(digest, title or None, content or None, came_ms, article.id)


def outcome_row(record: RawRecord) -> OutcomeRow:
    """Return the row of a ScoredArticle. Raises InvalidRecord or NotAnObject."""
    fields = _object(record)
    try:
        article, outcome = fields["article"], fields["outcome"]
        scored_ms = milliseconds_of(fields["scored_at"])
        came_ms = milliseconds_of(fields["input"].get("timestamp"))
        if scored_ms is None:
            raise KeyError("scored_at")
        dated_ms = milliseconds_of(article["published_at"])
        return OutcomeRow(
            fact=_fact(record),
            content_hash=_digest(article["content_hash"]),
            title=_title(article["title"]),
            filter=str(fields["filter"]),
            tier=BLOCKED if outcome == BLOCKED else str(fields["tier"]),
            score=None if fields["score"] is None else float(fields["score"]),
            source=_text(article["source"]),
            language=_text(article["language"]),
            article_id=str(article["id"]),
            dated_ms=next(ms for ms in (dated_ms, came_ms, scored_ms) if ms is not None),
            scored_ms=scored_ms,
            latency_ms=_latency_ms(record, came_ms),
            record=record.value,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidRecord(f"not a ScoredArticle: {error!r:.200}") from None


def label_row(record: RawRecord) -> LabelRow:
    """Return the row of an OracleScore. Raises InvalidRecord or NotAnObject."""
    fields = _object(record)
    try:
        article, key = fields["article"], fields["oracle"]
        return LabelRow(
            fact=_fact(record),
            content_hash=_digest(article["content_hash"]),
            title=_title(article["title"]),
            filter=str(fields["filter"]),
            oracle=f"{key['provider']}/{key['model']}",
            labelled_ms=milliseconds_of(fields["labelled_at"]) or 0,
            article_id=str(article["id"]),
            record=record.value,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidRecord(f"not an OracleScore: {error!r:.200}") from None


def letter_row(record: RawRecord) -> LetterRow:
    """Return the row of a dead letter."""
    headers = {name: value for name, value in record.headers or [] if value is not None}

    def said(name: str) -> str | None:
        value = headers.get(HEADER_PREFIX + name)
        return None if value is None else value.decode(errors="replace")

    shown = {name: value.decode(errors="replace")[:LETTER_BYTES] for name, value in headers.items()}
    return LetterRow(
        partition=record.input["partition"],
        offset=record.input["offset"],
        stage=said("stage") or "",
        error=said("error") or "",
        message=said("message") or "",
        filter=said("filter"),
        failed_ms=milliseconds_of(said("failed-at")) or record.timestamp_ms or 0,
        key=record.key,
        value=None if record.value is None else record.value[:LETTER_BYTES],
        headers=orjson.dumps(shown),
    )


def alert_row(record: RawRecord) -> AlertRow:
    """Return the row of a DriftAlert. Raises InvalidRecord or NotAnObject."""
    fields = _object(record)
    try:
        return AlertRow(
            fact=_fact(record),
            incident_id=str(fields["incident_id"]),
            filter=str(fields["filter"]),
            raised_ms=milliseconds_of(fields["raised_at"]) or 0,
            record=record.value,
        )
    except KeyError as error:
        raise InvalidRecord(f"not a DriftAlert: no {error}") from None


def canary_row(record: RawRecord) -> CanaryRow:
    """Return the row of a CanaryReport. Raises InvalidRecord or NotAnObject."""
    fields = _object(record)
    try:
        return CanaryRow(str(fields["filter"]), str(fields["student"]), record.value)
    except KeyError as error:
        raise InvalidRecord(f"not a CanaryReport: no {error}") from None


def replay_row(record: RawRecord) -> ReplayRow | None:
    """Return the row of a decision on the control topic; None where it is about other things than
    dead letters that were put back. Raises InvalidRecord or NotAnObject."""
    fields = _object(record)
    if fields.get("decision") != "dead_letters_replayed":
        return None
    try:
        arguments = fields["arguments"]
        ranges = [[int(first), int(last)] for first, last in arguments["ranges"]]
        partition = int(arguments["partition"])
        if not 0 <= partition <= LARGEST:
            raise ValueError(f"partition {partition}")
        return ReplayRow(partition, orjson.dumps(ranges).decode())
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidRecord(f"not a ControlDecision: {error!r:.200}") from None


def _object(record: RawRecord) -> Mapping[str, Any]:
    if len(record.value or b"") > MOST_RECORD_BYTES:
        raise InvalidRecord(f"larger than {MOST_RECORD_BYTES:,} bytes: no record of newsieve's is")
    try:
        fields = orjson.loads(record.value or b"")
    except orjson.JSONDecodeError as error:
        raise NotAnObject(f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise NotAnObject("a record of newsieve is an object")
    return fields


def _fact(record: RawRecord) -> bytes:
    """Return the record's ce_id: the same fact has the same one wherever it stands. A record
    without one is a fact of its own."""
    said = header(record.headers, "ce_id")
    try:
        return uuid.UUID((said or b"").decode()).bytes
    except ValueError:
        where = record.input
        name = f"{where['topic']}/{where['partition']}/{where['offset']}"
        return uuid.uuid5(FACT_NAMESPACE, name).bytes


def _digest(content_hash: str) -> bytes:
    return bytes.fromhex(content_hash.removeprefix(HASH_PREFIX))


def _title(value: Any) -> str | None:
    return rendered_title(_text(value)) or None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def milliseconds_of(text: Any) -> int | None:
    """Return a time as milliseconds since 1970; None for what is no time of the years 1970 to 9999.
    A time without a zone is in UTC."""
    if not isinstance(text, str):
        return None
    try:
        moment = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        try:
            moment = parsedate_to_datetime(text[:MOST_DATE_CHARACTERS])
        except (ValueError, OverflowError):  # a year or a zone of any number of digits
            return None
    try:
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
        found = int((aware - EPOCH).total_seconds() * 1_000)
    except OverflowError:
        return None
    return found if 0 <= found <= LATEST_MS else None


def _latency_ms(record: RawRecord, came_ms: int | None) -> int | None:
    """Return the time from the raw record to its outcome's record, where both clocks agree."""
    if record.timestamp_ms is None or came_ms is None or record.timestamp_ms < came_ms:
        return None
    return record.timestamp_ms - came_ms
