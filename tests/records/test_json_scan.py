"""What is found out about JSON in passes over its bytes, against the naive way to find it out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsieve.records import json_scan
from newsieve.records.json_scan import is_nested_deeper, without_lone_surrogates

BRACKETS = st.text(alphabet='[]{}"\\a,', max_size=60).map(str.encode)
ESCAPES = st.lists(
    st.sampled_from(
        [
            *(r"\ud800", r"\uDBFF", r"\udc00", r"\uDFff", r"\uD83D\uDE00", r"\u0041"),
            *(r"\\", r"\"", "\\n", "u", "d800", "é", "\U0001f600"),
        ]
    ),
    max_size=12,
).map("".join)


def deepest(value: bytes) -> int:
    """Character by character. A backslash hides the quote or backslash that follows it."""
    depth = most = 0
    in_string = is_hidden = False
    for byte in value.decode():
        if is_hidden and byte in '"\\':
            is_hidden = False
            continue
        is_hidden = byte == "\\"
        if byte == '"':
            in_string = not in_string
        elif not in_string and byte in "[{":
            depth += 1
            most = max(most, depth)
        elif not in_string and byte in "]}":
            depth -= 1
    return most


@given(BRACKETS, st.integers(0, 5))
@settings(max_examples=200)
def test_the_depth_is_what_the_naive_reader_finds(value: bytes, limit: int) -> None:
    """Brackets in strings do not count, whatever is escaped before them."""
    assert is_nested_deeper(value, limit) == (deepest(value) > limit)


@given(BRACKETS, st.integers(0, 5), st.integers(1, 7))
@settings(max_examples=150)
def test_the_depth_is_carried_from_block_to_block(value: bytes, limit: int, block: int) -> None:
    """And so is whether a string is open."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_scan, "_BLOCK_BYTES", block)
        assert is_nested_deeper(value, limit) == (deepest(value) > limit)


@given(ESCAPES)
@settings(max_examples=200)
def test_lone_surrogates_are_those_that_the_standard_library_leaves_alone(escapes: str) -> None:
    """Pairs stay a character, and what only looks like an escape stays as it is."""
    value = f'["{escapes}"]'.encode()
    expected = "".join(
        "\ufffd" if "\ud800" <= character <= "\udfff" else character
        for character in json.loads(value)[0]
    )

    found = without_lone_surrogates(value)

    assert json.loads(found)[0] == expected
    assert len(found) == len(value)


@pytest.mark.parametrize(
    "value", [b"", b"\\ud8", b'"\\ud80', b'"\\ud800', b'"\\ud8zz"', b"\\\\ud800"]
)
def test_what_is_no_whole_escape_stays(value: bytes) -> None:
    """At the very end, too: it is for the parser to refuse."""
    found = without_lone_surrogates(value)

    assert found in {value, b'"\\ufffd'}
