"""A raw record's bytes to an Article, or to the error that makes it a dead letter.

Strict about id, title and content; any other field of a wrong type becomes null and is named.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from worker.codec.json_text import parse, parse_exactly
from worker.errors import (
    InvalidContent,
    InvalidId,
    InvalidJson,
    InvalidTitle,
    NotAnObject,
    NoText,
    RecordError,
)
from worker.rules.article import Article
from worker.rules.readable import has_text
from worker.rules.text import content_hash, render

Headers = list[tuple[str, bytes | None]]

STRUCTURED_TYPE: Final = b"application/cloudevents+json"
_OPTIONAL: Final = ("url", "source", "language", "published_at", "published_date")
_OTHER_CONTENT: Final = ("text", "body")
_TEXT_ONLY: Final = {str}
_HEX: Final = "hex:"  # before keys that are not UTF-8, and those that would look like one
TEXT_NAMESPACE: Final = uuid.UUID("6f2d9f0e-6a3b-5f0c-9a59-0f7d8a4e2b11")


@dataclass(frozen=True, slots=True)
class DecodePolicy:
    """What the settings say about raw records."""

    max_bytes: int
    id_from_key: bool


class RawRecord(NamedTuple):
    """A record as it came. `input` is what ScoredArticle says of its place."""

    value: bytes
    key: bytes | None
    headers: Headers | None
    timestamp_ms: int | None
    input: dict[str, Any]


def decode(record: RawRecord, policy: DecodePolicy) -> Article:
    """The record's article. Raises RecordError."""
    facts = parse(record.value, policy.max_bytes)
    if type(facts) is not dict:
        raise NotAnObject(f"a JSON {_json_name(facts)}, not an object")
    if "specversion" in facts or header(record.headers, "content-type") is not None:
        facts = _event_data(facts, record.headers, policy)
    if type(facts.get("id")) is float:  # perhaps an integer beyond 64 bits
        facts = {**facts, "id": _exact_id(record.value, facts["id"])}
    nulled: list[str] = []
    url, source, language, published_at, published_date = _texts(facts, _OPTIONAL, nulled)
    title = _title(facts)
    content = _content(facts, nulled)
    text = render(title, content)
    if not (has_text(title or "") or has_text(content or "")):
        raise NoText("neither a title nor a content with anything to read in it")
    if not _is_list_of_text(facts.get("tags")):
        nulled.append("tags")
    return Article(
        id=_id(facts, record.key if policy.id_from_key else None, url, text),
        title=title,
        content=content,
        url=url,
        source=source,
        language=language,
        published_at=published_at if published_at is not None else published_date,
        text=text,
        content_hash=content_hash(text),
        nulled=tuple(nulled),
    )


def record_key(value: bytes) -> bytes | None:
    """The key for a raw record: its article's id, so that versions stay in order. None for what
    cannot be read."""
    try:
        policy = DecodePolicy(len(value), id_from_key=False)
        return decode(RawRecord(value, None, None, None, {}), policy).id.encode()
    except RecordError:
        return None


def header(headers: Headers | None, name: str) -> bytes | None:
    """The last value of a header; headers may be repeated, null or binary."""
    if headers:
        for key, value in reversed(headers):
            if key == name:
                return value
    return None


def _event_data(
    facts: dict[str, Any], headers: Headers | None, policy: DecodePolicy
) -> dict[str, Any]:
    """The article inside a structured CloudEvent, or the object as it is."""
    content_type = header(headers, "content-type") or b""
    is_event = content_type.lower().startswith(STRUCTURED_TYPE) or (
        isinstance(facts.get("specversion"), str) and "type" in facts and "source" in facts
    )
    if not is_event or not ("data" in facts or "data_base64" in facts):
        return facts
    data = facts.get("data")
    if data is None and isinstance(facts.get("data_base64"), str):
        try:
            encoded = base64.b64decode(facts["data_base64"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidJson(f"data_base64 is not base64: {error}") from None
        data = parse(encoded, policy.max_bytes)
    elif isinstance(data, str):
        data = parse(data.encode(), policy.max_bytes)
    if not isinstance(data, dict):
        raise NotAnObject(f"the event's data is a JSON {_json_name(data)}, not an object")
    return data


def _exact_id(value: bytes, inexact: float) -> Any:
    exact = parse_exactly(value)
    data = exact.get("data")
    for facts in (exact, data if isinstance(data, dict) else {}):
        candidate = facts.get("id")
        if isinstance(candidate, int | float) and _rounds_to(candidate, inexact):
            return candidate
    return inexact


def _rounds_to(exact: float, inexact: float) -> bool:
    try:
        return float(exact) == inexact
    except OverflowError:
        return False


def _id(facts: Mapping[str, Any], key: bytes | None, url: str | None, text: str) -> str:
    value = facts.get("id")
    if isinstance(value, str):
        if value and not value.isspace():
            return value
    elif isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    elif value is not None:
        raise InvalidId(f"id is a JSON {_json_name(value)}; it must be a string or an integer")
    if key:
        return _id_of_key(key)
    if url and not url.isspace():
        return str(uuid.uuid5(uuid.NAMESPACE_URL, url))
    return str(uuid.uuid5(TEXT_NAMESPACE, text))


def _id_of_key(key: bytes) -> str:
    """Two keys are never one id: what has no text, and what could be taken for it, is written in
    hexadecimal digits."""
    try:
        text = key.decode()
    except UnicodeDecodeError:
        text = _HEX
    return _HEX + key.hex() if text.startswith(_HEX) else text


def _title(facts: Mapping[str, Any]) -> str | None:
    title = facts.get("title")
    if title is None:
        return None
    if type(title) is not str:
        raise InvalidTitle(f"title is a JSON {_json_name(title)}; it must be a string")
    return title


def _content(facts: Mapping[str, Any], nulled: list[str]) -> str | None:
    """The first of the accepted fields with anything to read in it."""
    content = facts.get("content")
    if content is not None and type(content) is not str:
        raise InvalidContent(f"content is a JSON {_json_name(content)}; it must be a string")
    others = _texts(facts, _OTHER_CONTENT, nulled)
    if content and has_text(content):
        return content
    for other in others:
        if other and has_text(other):
            return other
    return content


def _texts(facts: Mapping[str, Any], fields: Sequence[str], nulled: list[str]) -> list[str | None]:
    """The values of optional fields, in their order; null where it is no text."""
    values = list(map(facts.get, fields))
    for at, value in enumerate(values):
        if value is not None and type(value) is not str:
            nulled.append(fields[at])
            values[at] = None
    return values


def _is_list_of_text(value: Any) -> bool:
    return value is None or (type(value) is list and set(map(type, value)) <= _TEXT_ONLY)


def _json_name(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array"}
    return names.get(type(value), "object")
