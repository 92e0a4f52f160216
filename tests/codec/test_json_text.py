"""JSON as it really comes, and what is said of what is none. Knows no articles."""

from __future__ import annotations

import pytest

from worker.codec.json_text import parse
from worker.errors import InvalidJson


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
