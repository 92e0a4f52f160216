"""Arrays that are split into the bytes of their elements."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsieve.errors import InvalidJson
from newsieve.records.json_array import elements_of, is_array

MOST = 1_000
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=4
)
SPACES = st.text(" \t\r\n", max_size=3)


@settings(max_examples=40)
@given(st.lists(st.tuples(VALUES, st.booleans(), SPACES, SPACES), max_size=5), SPACES)
def test_each_element_is_its_own_bytes(
    elements: list[tuple[object, bool, str, str]], space: str
) -> None:
    """Whatever strings hold, and whatever white space stands between."""
    texts = [json.dumps(value, ensure_ascii=is_ascii) for value, is_ascii, _, _ in elements]
    joined = ",".join(
        f"{before}{text}{after}"
        for text, (_, _, before, after) in zip(texts, elements, strict=True)
    )
    value = f"{space}[{joined}{space}]{space}".encode("utf-8", "surrogatepass")

    assert is_array(value)
    assert elements_of(value, MOST) == [text.encode("utf-8", "surrogatepass") for text in texts]


@given(st.binary(max_size=60) | st.text('[]{}",\\ a', max_size=30).map(str.encode))
def test_any_bytes_are_split_or_refused(value: bytes) -> None:
    """No byte is lost: joined again, the elements are the array without white space."""
    try:
        elements = elements_of(b"[%b]" % value, MOST)
    except InvalidJson:
        return
    joined = b",".join(elements)
    assert joined.translate(None, b" \t\r\n") == value.translate(None, b" \t\r\n")


@pytest.mark.parametrize(
    "value", [b"[", b"]", b"[}{]", b'["]', b"[{]", b"[]]", b"[1] 2", b'["\\"]', b"[[]", b"[1}"]
)
def test_an_array_that_does_not_end_where_it_should_is_refused(value: bytes) -> None:
    """Nobody knows where its elements end."""
    with pytest.raises(InvalidJson):
        elements_of(value, MOST)


def test_elements_need_not_be_json() -> None:
    """Whoever decodes one decides about it."""
    value = b'\xef\xbb\xbf[{"a": NaN}, \xff, {"a" 1}, , "\\ud800"]'

    assert elements_of(value, MOST) == [b'{"a": NaN}', b"\xff", b'{"a" 1}', b"", b'"\\ud800"']


def test_of_too_many_elements_there_is_one_more_than_was_asked_for() -> None:
    """The rest is not even looked at: five million cost no more than some."""
    value = b"[" + b"[]," * 5_000_000 + b"{]"

    started = time.process_time()
    elements = elements_of(value, MOST)

    assert elements == [b"[]"] * (MOST + 1)
    assert time.process_time() - started < 1
    assert len(elements_of(b"[1,2,3]", 3)) == 3
