"""A stream of JSON is split by quotes and brackets alone, wherever it is cut."""

from __future__ import annotations

import io
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsieve.file_readers.json_values import _Splitter, read_json_values

MOST_BYTES = 1_000
VALUES = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def split(
    content: bytes, part_bytes: int = 1 << 16, most_bytes: int = MOST_BYTES
) -> list[tuple[str, bytes | None, str | None]]:
    splitter = _Splitter(most_bytes)
    found = []
    for start in range(0, len(content), part_bytes):
        found += splitter.split(content[start : start + part_bytes])
    return [item[:3] for item in [*found, *splitter.finish()]]


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=3), max_size=5),
    part_bytes=st.integers(1, 30),
    indent=st.none() | st.integers(0, 2),
    is_array=st.booleans(),
)
def test_values_come_as_they_went_in_wherever_the_stream_is_cut(
    values: list[object], part_bytes: int, indent: int | None, *, is_array: bool
) -> None:
    """As an array and one behind another, pretty or not."""
    content = json.dumps(values, indent=indent, ensure_ascii=False).encode()
    if not is_array:
        content = b"\n".join(json.dumps(value, indent=indent).encode() for value in values)

    found = split(content, part_bytes, 1_000_000)

    assert [json.loads(value or b"") for _, value, _ in found] == values


BAD = {
    b'[{"a": 1}, {"b": tru}, nonsense, {"c": 1}]': [
        b'{"a": 1}', b'{"b": tru}', b"nonsense", b'{"c": 1}'
    ],
    b'{"a": 1} nonsense {"b": 1}}{"c": 1}': [
        b'{"a": 1}', b"nonsense", b'{"b": 1}', b"}", b'{"c": 1}'
    ],
    b'\x1e{"a": 1}\n\x1e{"b": "cut off [\n\x1e{"c": 1}': [
        b'{"a": 1}', b'{"b": "cut off [', b'{"c": 1}'
    ],
    b'{"a": "' + b"x" * MOST_BYTES + b'"}\n{"b": 1}': [None, b'{"b": 1}'],
    b'[{"a": 1},\n{"b": 1},': [b'{"a": 1}', b'{"b": 1}', None],
    b'[{"a": 1},\n{"b": "': [b'{"a": 1}', None],
    b" \n" * MOST_BYTES + b'{"a": 1}': [b'{"a": 1}'],
}  # fmt: skip


@pytest.mark.parametrize("content", BAD, ids=range(len(BAD)))
def test_a_bad_value_costs_itself(content: bytes) -> None:
    """Those around it come, wherever the stream is cut; what does not end is said to."""
    for part_bytes in (1, 2, 3, 7, 1 << 16):
        assert [value for _, value, _ in split(content, part_bytes)] == BAD[content]


def test_a_place_is_a_values_number_and_the_line_it_begins_in() -> None:
    """Blank lines count."""
    content = b'[\n\n{"a":\n1},\n\n {"b": 1},\n{"c": [\n'

    assert [place for place, _, _ in split(content, 4)] == [
        "value 1, line 3", "value 2, line 6", "value 3, line 7"
    ]  # fmt: skip
    assert split(content)[-1][2] == "not JSON: the file ends before the value does"


@pytest.mark.parametrize("unit", [b"[", b'{"a":', b'"', b'"\\', b"\\", b",", b"\x1e", b"{}"])
def test_hostile_streams_cost_by_their_size_alone(unit: bytes) -> None:
    """Four times as much takes about four times as long, and is not held."""

    def seconds(size: int) -> float:
        stream = io.BufferedReader(io.BytesIO(unit * (size // len(unit))))  # type: ignore[type-var]
        began = time.process_time()
        for _ in read_json_values(stream, 10_000):
            pass
        return time.process_time() - began

    seconds(20_000)
    assert seconds(200_000) < 12 * max(seconds(50_000), 0.01)
