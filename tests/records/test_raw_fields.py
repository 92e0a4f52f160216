"""The fields that are read out of a raw record, against a parser that makes objects of all."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from newsieve.errors import DecodeError, InvalidJson, NonFiniteNumber, NotAnObject
from newsieve.records.dates import END_MILLISECOND, FIRST_SECOND
from newsieve.records.field_names import DEFAULT_NAMES
from newsieve.records.json_kinds import json_name
from newsieve.records.raw_fields import DEFAULT_READER, STRICT_NAMES, are_tags
from newsieve_schemas.article_shapes import text_in

FIELDS = {name: field for field, names in DEFAULT_NAMES.by_field().items() for name in names}
NAMES = ("id", "title", "content", "text", "url", "link", "language", "date", "guid", "source")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=4,
)
SHAPED = st.dictionaries(
    st.sampled_from(["rendered", "value", "text", "#text", "href", "name", "$oid"]),
    VALUES,
    max_size=3,
)
ARTICLES = st.dictionaries(
    st.sampled_from([*NAMES, "x", "tags"]),
    VALUES | SHAPED | st.lists(SHAPED | st.text(max_size=3), max_size=3),
    max_size=5,
)
BROKEN = st.tuples(
    st.integers(0, 200), st.sampled_from([b"", b",", b'"', b"\\", b"]", b"}", b"0", b"-", b"\x01"])
)


LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # a pair is one character here


def refuse(_: str) -> None:
    raise NonFiniteNumber


def naive(value: bytes) -> dict[str, Any]:
    """By the standard library. Raises what `FieldReader.read` should."""
    try:
        found = json.loads(value, parse_constant=refuse)
    except ValueError:
        raise InvalidJson from None
    if type(found) is not dict:
        raise NotAnObject
    return found


def shape(name: str, value: Any) -> Any:
    """As the reader has it: texts as they are, numbers where there may be one, of another value its
    kind under a strict name, and null under any other."""
    value = text_in(FIELDS[name], value)
    if type(value) is str:
        return LONE_SURROGATE.sub("\ufffd", value)
    if type(value) is int and FIELDS[name] == "id":
        return value
    if type(value) in (int, float) and FIELDS[name] == "published_at":
        return plausible(value)
    return json_name(value) if name in STRICT_NAMES else None


def plausible(number: float) -> float | None:
    """A number of the size of an epoch; the reader need not keep others."""
    return number if FIRST_SECOND <= number < END_MILLISECOND else None


def outcome(value: bytes) -> Any:
    """The fields, and the names of those that are null because they are wrong."""
    try:
        fields, wrong = DEFAULT_READER.read(value, 10_000)
    except DecodeError as error:
        return type(error)
    read = {name: getattr(fields, name) for name in NAMES}
    if type(fields.date) in (int, float):
        read["date"] = plausible(fields.date)
    for name in STRICT_NAMES:
        kept = type(read[name]) is str or (name == "id" and type(read[name]) is int)
        read[name] = read[name] if kept else json_name(read[name])
    read["source"] = None if fields.source is UNSET else fields.source
    return read, set(wrong) & set(NAMES)


def expected(value: bytes) -> Any:
    try:
        found = naive(value)
    except DecodeError as error:
        return type(error)
    read = {name: shape(name, found.get(name)) for name in NAMES}
    wrong = {
        name
        for name, item in found.items()
        if name in NAMES and name not in STRICT_NAMES and item is not None and read[name] is None
        if not (name == "date" and type(item) in (int, float))
    }
    return read, wrong


@given(ARTICLES, st.booleans())
@settings(max_examples=120)
def test_fields_are_read_as_a_parser_reads_them(facts: dict[str, Any], ascii_only: bool) -> None:  # noqa: FBT001
    """Whatever they and all others hold."""
    value = json.dumps(facts, ensure_ascii=ascii_only).encode()

    assert outcome(value) == expected(value)


@given(ARTICLES, st.lists(BROKEN, min_size=1, max_size=3))
@settings(max_examples=120)
@example({"x": [1]}, [(7, b"NaN")])
@example({"x": [1]}, [(7, b"-Infinity")])
@example({"x": [1]}, [(6, b"Infinity,")])
@example({"x": [1]}, [(7, b"-NaN")])
@example({"text": "\U00010000"}, [(16, b"")])
def test_what_is_broken_is_refused_as_a_parser_refuses_it(
    facts: dict[str, Any], changes: list[tuple[int, bytes]]
) -> None:
    """In a field that nobody reads, too: it is JSON as a whole or not at all."""
    value = json.dumps(facts).encode()
    for place, inserted in changes:
        at = place % (len(value) + 1)
        value = value[:at] + inserted + value[at + 1 :]

    assert outcome(value) == expected(value)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b'{"title": "x', "not JSON: input data was truncated"),
        (b'{"title": x}', "not JSON: invalid character at byte 11"),
        (b'{"x": [1,]}', "not JSON: trailing comma in array at byte 10"),
    ],
)
def test_what_is_no_json_is_said_with_its_place(value: bytes, why: str) -> None:
    """Bytes are counted from 1."""
    with pytest.raises(InvalidJson) as caught:
        DEFAULT_READER.read(value, 100)

    assert str(caught.value) == why


def tags(value: Any) -> bool:
    return are_tags(DEFAULT_READER.read(json.dumps({"tags": value}).encode(), 10**7)[0].tags)


def test_tags_are_texts_within_limits_or_nothing() -> None:
    """200 of 200 characters each."""
    assert tags(None) and tags([]) and tags(["a"]) and tags(["\U0001f600" * 200] * 200)
    assert not tags(["a", 1]) and not tags("a") and not tags({})
    assert not tags(["a"] * 201) and not tags(["a" * 201])
    assert are_tags(DEFAULT_READER.read(b"{}", 10)[0].tags)
