"""Decodes a raw record's bytes to an Article, or raises the error that makes it a dead letter.

It is strict about id, title and content; any other field of a wrong type, or longer than the
contract says, becomes null and is named.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from msgspec import UNSET

from newsieve.errors import (
    InvalidContent,
    InvalidId,
    InvalidJson,
    InvalidRecord,
    InvalidTitle,
    NotAnObject,
    NoText,
    RecordError,
)
from newsieve.filters.article import Article
from newsieve.filters.readable import has_text
from newsieve.filters.rendering import content_hash, render
from newsieve.records.raw_fields import (
    RawFields,
    are_tags,
    json_name,
    kind_of,
    read_fields,
    text_of,
)
from newsieve_schemas.article import (
    MAX_DATE_CHARACTERS,
    MAX_ID_CHARACTERS,
    MAX_LANGUAGE_CHARACTERS,
    MAX_SOURCE_CHARACTERS,
    MAX_TITLE_CHARACTERS,
    MAX_URL_CHARACTERS,
)

Headers = list[tuple[str, bytes | None]]

STRUCTURED_TYPE: Final = b"application/cloudevents+json"
_HEX: Final = "hex:"  # before keys that are not UTF-8, and those that would look like one
_MAX_KEY_BYTES: Final = 4 * MAX_ID_CHARACTERS  # UTF-8 takes no more for as many
TEXT_NAMESPACE: Final = uuid.UUID("6f2d9f0e-6a3b-5f0c-9a59-0f7d8a4e2b11")


@dataclass(frozen=True, slots=True)
class DecodePolicy:
    """What the settings say about raw records."""

    max_bytes: int
    id_from_key: bool


class RawRecord(NamedTuple):
    """A record as it was consumed. `input` is what ScoredArticle says of its position."""

    value: bytes
    key: bytes | None
    headers: Headers | None
    timestamp_ms: int | None
    input: dict[str, Any]


def decode(record: RawRecord, policy: DecodePolicy) -> Article:
    """The record's article. Raises RecordError."""
    fields = read_fields(record.value, policy.max_bytes)
    if fields.specversion is not UNSET or header(record.headers, "content-type") is not None:
        fields = _event_data(fields, record.headers, policy)
    nulled: list[str] = []
    url = _text("url", fields.url, MAX_URL_CHARACTERS, nulled)
    source = fields.source if fields.source is not UNSET else None
    source = _text("source", source, MAX_SOURCE_CHARACTERS, nulled)
    language = _text("language", fields.language, MAX_LANGUAGE_CHARACTERS, nulled)
    published = _text("published_at", fields.published_at, MAX_DATE_CHARACTERS, nulled)
    other_date = _text("published_date", fields.published_date, MAX_DATE_CHARACTERS, nulled)
    title = _title(fields.title)
    content, says_something = _content(fields, policy.max_bytes, nulled)
    text = render(title, content)
    if not (says_something or has_text(title or "")):
        raise NoText("neither a title nor a content with anything to read in it")
    if not are_tags(fields.tags):
        nulled.append("tags")
    return Article(
        id=_id(fields.id, record.key if policy.id_from_key else None, url, text),
        title=title,
        content=content,
        url=url,
        source=source,
        language=language,
        published_at=published if published is not None else other_date,
        text=text,
        content_hash=content_hash(text),
        nulled=tuple(nulled),
    )


def record_key(value: bytes) -> bytes | None:
    """The key for a raw record: its article's id, so that versions stay in order. None for a record
    that cannot be read."""
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


def _event_data(fields: RawFields, headers: Headers | None, policy: DecodePolicy) -> RawFields:
    """The article inside a structured CloudEvent, or the object as it is."""
    content_type = header(headers, "content-type") or b""
    is_event = content_type.lower().startswith(STRUCTURED_TYPE) or (
        fields.specversion is not UNSET
        and text_of(fields.specversion) is not None
        and fields.type is not UNSET
        and fields.source is not UNSET
    )
    data, encoded = fields.data, fields.data_base64
    if not is_event or (data is UNSET and encoded is UNSET):
        return fields
    kind = None if data is UNSET else kind_of(data)
    if data is UNSET or kind is None:
        if encoded is not UNSET and (text := text_of(encoded)) is not None:
            return read_fields(_from_base64(text), policy.max_bytes)
    elif type(kind) is str:
        return read_fields((text_of(data) or "").encode(), policy.max_bytes)
    elif type(kind) is dict:
        return read_fields(bytes(data), policy.max_bytes)
    raise NotAnObject(f"the event's data is a JSON {json_name(kind)}, not an object")


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidJson(f"data_base64 is not base64: {error}") from None


def _id(value: Any, key: bytes | None, url: str | None, text: str) -> str:
    if type(value) is int:
        value = str(value)
    if type(value) is str and value and not value.isspace():
        return _required("id", value, MAX_ID_CHARACTERS, InvalidId)
    if value is not None and type(value) is not str:
        raise InvalidId(
            f"id is a JSON {json_name(value)}; it must be a string or an integer, of at most "
            f"{MAX_ID_CHARACTERS:,} characters"
        )
    if key:
        return _id_of_key(key)
    if url and not url.isspace():
        return str(uuid.uuid5(uuid.NAMESPACE_URL, url))
    return str(uuid.uuid5(TEXT_NAMESPACE, text))


def _id_of_key(key: bytes) -> str:
    """The id that a key stands for. Two keys are never one id: a key without a text, or that could
    be taken for one, is written in hexadecimal digits."""
    try:
        text = key.decode() if len(key) <= _MAX_KEY_BYTES else _HEX
    except UnicodeDecodeError:
        text = _HEX
    if text.startswith(_HEX):
        text = _HEX + key.hex()
    return _required("id, made from the record's key,", text, MAX_ID_CHARACTERS, InvalidId)


def _title(title: Any) -> str | None:
    if title is None:
        return None
    if type(title) is not str:
        raise InvalidTitle(f"title is a JSON {json_name(title)}; it must be a string")
    return _required("title", title, MAX_TITLE_CHARACTERS, InvalidTitle)


def _content(fields: RawFields, max_characters: int, nulled: list[str]) -> tuple[str | None, bool]:
    """The first of the accepted fields with anything to read in it, and whether there is one."""
    content: Any = fields.content
    if content is not None and type(content) is not str:
        raise InvalidContent(f"content is a JSON {json_name(content)}; it must be a string")
    other = _text("text", fields.text, max_characters, nulled)
    body = _text("body", fields.body, max_characters, nulled)
    for text in (content, other, body):
        if text and has_text(text):
            return text, True
    return content, False


def _required(name: str, text: str, limit: int, error: type[InvalidRecord]) -> str:
    if len(text) > limit:
        raise error(f"{name} has {len(text):,} characters, more than the limit of {limit:,}")
    return text


def _text(name: str, value: Any, limit: int, nulled: list[str]) -> str | None:
    """The value of an optional field; None where it is no text, or too long."""
    if value is None or (type(value) is str and len(value) <= limit):
        return value
    nulled.append(name)
    return None
