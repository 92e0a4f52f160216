"""Decodes a raw record's bytes to an Article, or raises the error that makes it a dead letter.

It is strict about id, title and content; any other field of a wrong type, or longer than the
contract says, becomes null and is named. What a field may be called says `field_names`, and what
may be around an article `envelopes`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from msgspec import UNSET

from newsieve.errors import (
    InvalidContent,
    InvalidId,
    InvalidRecord,
    InvalidTitle,
    NoText,
    RecordError,
)
from newsieve.filters.article import Article
from newsieve.filters.markup import is_html
from newsieve.filters.readable import has_text
from newsieve.filters.rendering import content_hash, render
from newsieve.records.dates import date_of_number, date_of_text
from newsieve.records.envelopes import Headers, header, open_record
from newsieve.records.json_kinds import json_name
from newsieve.records.json_parsing import MAX_RECORD_BYTES
from newsieve.records.raw_fields import (
    DEFAULT_READER,
    OPTIONAL_FIELDS,
    Alternatives,
    FieldReader,
    are_tags,
)
from newsieve_schemas.article import MAX_ID_CHARACTERS, MAX_TITLE_CHARACTERS

__all__ = ["DecodePolicy", "Headers", "RawRecord", "decode", "header", "record_key"]

_HEX: Final = "hex:"  # before keys that are not UTF-8, and those that would look like one
_MAX_KEY_BYTES: Final = 4 * MAX_ID_CHARACTERS  # UTF-8 takes no more for as many
TEXT_NAMESPACE: Final = uuid.UUID("6f2d9f0e-6a3b-5f0c-9a59-0f7d8a4e2b11")


@dataclass(frozen=True, slots=True)
class DecodePolicy:
    """What the settings say about raw records; `reader` knows the names of fields."""

    max_bytes: int
    id_from_key: bool
    reader: FieldReader = DEFAULT_READER


class RawRecord(NamedTuple):
    """A record as it was consumed. `input` is what ScoredArticle says of its position."""

    value: bytes
    key: bytes | None
    headers: Headers | None
    timestamp_ms: int | None
    input: dict[str, Any]


def decode(record: RawRecord, policy: DecodePolicy) -> Article:
    """Return the record's article. Raises RecordError."""
    reader = policy.reader
    fields, nulled, envelopes = open_record(record.value, record.headers, reader, policy.max_bytes)
    # Usual articles have their texts under the first names, where nothing else is looked at.
    id_, title, content, url, source, language, date = reader.firsts(fields)
    if not (url and source and language and date) and reader.others(fields) != reader.no_others:
        url, source, language, date = (_first(reader, fields, name) for name in OPTIONAL_FIELDS)
    is_known_date = True
    if type(date) is str:
        date, is_known_date = date_of_text(date)
    elif date is not None:
        date, is_known_date, nulled = _date(reader.alternatives["published_at"], fields, nulled)
    if not (type(title) is str and 0 < len(title) <= MAX_TITLE_CHARACTERS) or title.isspace():
        title = _title(reader.alternatives["title"], fields)
    has_body = type(content) is str and has_text(content)
    if not has_body:
        content, has_body = _content(reader.alternatives["content"], fields, content)
    text = render(title, content)
    if not (has_body or has_text(title or "")):
        raise NoText("neither a title nor a content with anything to read in it")
    if fields.tags is not UNSET and not are_tags(fields.tags):
        nulled = (*nulled, "tags")
    if type(id_) is not str or not id_ or id_.isspace() or len(id_) > MAX_ID_CHARACTERS:
        key = record.key if policy.id_from_key else None
        id_ = _id(reader.alternatives["id"], fields) or _made_id(key, url, text)
    return Article(  # by position, which takes half the time
        id_,
        title,
        content,
        url,
        None if source is UNSET else source,
        language,
        date,
        text,
        content_hash(text),
        nulled,
        envelopes,
        has_body,
        not is_known_date,
        content is not None and "<" in content and is_html(content),
    )


def record_key(value: bytes, reader: FieldReader = DEFAULT_READER) -> bytes | None:
    """Return the key for a raw record: its article's id, so that the versions of an article stay in
    order. None for a record that cannot be read."""
    try:
        most = max(len(value), MAX_RECORD_BYTES)
        policy = DecodePolicy(most, id_from_key=False, reader=reader)
        return decode(RawRecord(value, None, None, None, {}), policy).id.encode()
    except RecordError:
        return None


def _first(reader: FieldReader, fields: Any, field: str) -> Any:
    """Return the first value of a field that is not empty, else the value under its first name."""
    values = reader.alternatives[field].read(fields)
    return next((value for value in values if value), values[0])


def _date(
    names: Alternatives, fields: Any, nulled: tuple[str, ...]
) -> tuple[str | None, bool, tuple[str, ...]]:
    """Return the first text, or number that is a date; whether it is understood; and the names of
    the fields that are null, with those of numbers that are no date."""
    for name, value in zip(names.names, names.read(fields), strict=True):
        if type(value) is str and value:
            return *date_of_text(value), nulled
        if type(value) in (int, float):
            date = date_of_number(value)
            if date is not None:
                return date, True, nulled
            nulled = (*nulled, name)
    return None, False, nulled


def _title(names: Alternatives, fields: Any) -> str | None:
    """Return the first title that is not blank. Raises InvalidTitle for a `title` that is none."""
    blank: str | None = None
    for name, value in zip(names.names, names.read(fields), strict=True):
        if name == "title" and value is not None and type(value) is not str:
            raise InvalidTitle(f"title is a JSON {json_name(value)}; it must be a string")
        if type(value) is str:
            if name == "title":
                _require("title", value, MAX_TITLE_CHARACTERS, InvalidTitle)
            if value and not value.isspace():
                return value
            blank = value if blank is None else blank
    return blank


def _content(names: Alternatives, fields: Any, unreadable: Any) -> tuple[str | None, bool]:
    """Return the first content with anything to read in it, and whether there is one. Raises
    InvalidContent for a `content` that is none."""
    values = names.read(fields)
    for name, value in zip(names.names, values, strict=True):
        if type(value) is str:
            if value is not unreadable and has_text(value):  # which would cost as much again
                return value, True
        elif name == "content" and value is not None:
            raise InvalidContent(f"content is a JSON {json_name(value)}; it must be a string")
    return next((value for value in values if type(value) is str), None), False


def _id(names: Alternatives, fields: Any) -> str | None:
    """Return the first id that is not blank. Raises InvalidId for an `id` that is none."""
    for name, value in zip(names.names, names.read(fields), strict=True):
        text = str(value) if type(value) is int else value
        if type(text) is str:
            if text and not text.isspace():
                return _require("id", text, MAX_ID_CHARACTERS, InvalidId)
        elif name == "id" and value is not None:
            raise InvalidId(
                f"id is a JSON {json_name(value)}; it must be a string or an integer, of at most "
                f"{MAX_ID_CHARACTERS:,} characters"
            )
    return None


def _made_id(key: bytes | None, url: str | None, text: str) -> str:
    """Return the id of an article whose record has none."""
    if key:
        return _id_of_key(key)
    if url and not url.isspace():
        return str(uuid.uuid5(uuid.NAMESPACE_URL, url))
    return str(uuid.uuid5(TEXT_NAMESPACE, text))


def _id_of_key(key: bytes) -> str:
    """Return the id that a key stands for. Two keys never give one id: a key that is not UTF-8, or
    that looks like such a key's id, is written in hexadecimal digits."""
    try:
        text = key.decode() if len(key) <= _MAX_KEY_BYTES else _HEX
    except UnicodeDecodeError:
        text = _HEX
    if text.startswith(_HEX):
        text = _HEX + key.hex()
    return _require("id, made from the record's key,", text, MAX_ID_CHARACTERS, InvalidId)


def _require(name: str, text: str, limit: int, error: type[InvalidRecord]) -> str:
    """Return the text. Raises the error for one that is longer than the limit."""
    if len(text) > limit:
        raise error(f"{name} has {len(text):,} characters, more than the limit of {limit:,}")
    return text
