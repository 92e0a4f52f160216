"""JSON as it really comes, and what is said of what is none. Knows no articles."""

from __future__ import annotations

import pytest

from newsieve.errors import InvalidJson, NestedTooDeep
from newsieve.records.json_parsing import parse


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b'{"title": "x', "Unterminated string starting at character 11"),
        (b'{"title": "a\x01b"}', "Invalid control character at character 13"),
        (b'{"title": x}', "Expecting value at character 11"),
    ],
)
def test_what_is_no_json_is_said_in_a_sentence(value: bytes, why: str) -> None:
    """Some of the library's own words end in "at"."""
    with pytest.raises(InvalidJson) as caught:
        parse(value, 100)

    assert str(caught.value) == f"not JSON: {why}"


def test_lone_surrogates_are_replaced_wherever_they_stand() -> None:
    """In lists and keys, too: all that is read has a UTF-8 form."""
    assert parse(b'{"a": ["\\ud800"], "\\udc00": [{"b": "\\ud83d\\ude00\\ud800"}]}', 100) == {
        "a": ["\ufffd"],
        "\ufffd": [{"b": "\U0001f600\ufffd"}],
    }


def test_nesting_is_limited_in_lists_too() -> None:
    """100 deep and no deeper, whatever is around it."""
    assert parse(b"[" * 100 + b"]" * 100, 1_000)
    for value in (b"[" * 101 + b"]" * 101, b'{"a":' * 101 + b"1" + b"}" * 101):
        with pytest.raises(NestedTooDeep):
            parse(value, 1_000)
