"""The fields that are read out of a raw record, against a parser that makes objects of all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from newsieve.errors import DecodeError, InvalidJson, NonFiniteNumber, NotAnObject
from newsieve.records.raw_fields import RawFields, are_tags, json_name, read_fields

NAMES = ("id", "title", "content", "text", "body", "url", "language", "published_at")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=4,
)
ARTICLES = st.dictionaries(st.sampled_from([*NAMES, "x", "tags"]), VALUES, max_size=5)
BROKEN = st.tuples(
    st.integers(0, 200), st.sampled_from([b"", b",", b'"', b"\\", b"]", b"}", b"0", b"-", b"\x01"])
)


def refuse(_: str) -> None:
    raise NonFiniteNumber


def naive(value: bytes) -> dict[str, Any]:
    """By the standard library. Raises what `read_fields` should."""
    try:
        found = json.loads(value, parse_constant=refuse)
    except ValueError:
        raise InvalidJson from None
    if type(found) is not dict:
        raise NotAnObject
    return found


def shape(value: Any) -> Any:
    """As RawFields has it: texts and integers as they are, of all else the kind."""
    if type(value) in (str, int):
        return value
    return json_name(value)


def outcome(value: bytes) -> Any:
    try:
        fields = read_fields(value, 10_000)
    except DecodeError as error:
        return type(error)
    return {name: shape(getattr(fields, name)) for name in NAMES}


def expected(value: bytes) -> Any:
    try:
        found = naive(value)
    except DecodeError as error:
        return type(error)
    return {name: shape(found.get(name)) for name in NAMES}


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
        read_fields(value, 100)

    assert str(caught.value) == why


def tags(value: Any) -> bool:
    return are_tags(read_fields(json.dumps({"tags": value}).encode(), 10**7).tags)


def test_tags_are_texts_within_limits_or_nothing() -> None:
    """200 of 200 characters each."""
    assert tags(None) and tags([]) and tags(["a"]) and tags(["\U0001f600" * 200] * 200)
    assert not tags(["a", 1]) and not tags("a") and not tags({})
    assert not tags(["a"] * 201) and not tags(["a" * 201])
    assert are_tags(RawFields().tags)
