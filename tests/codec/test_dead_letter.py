"""Dead letters as written and replayed."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from schemas.dead_letter import DeadLetterHeaders, DeadLetterLine
from schemas.export import FOLDER
from worker.codec.dead_letter import (
    Place,
    Writer,
    attempts,
    dead_letter,
    dead_letter_line,
    only_filter,
    replay,
)
from worker.codec.decode import Headers, RawRecord
from worker.errors import InvalidJson, ModelFailed

NOW = "2026-11-22T16:00:00.000Z"
INPUT = {"topic": "articles.raw", "partition": 3, "offset": 1287, "timestamp": NOW}
SCHEMA = FOLDER / "json" / "DeadLetterHeaders.schema.json"
WRITER = Writer("articles.dead-letter", "g", "1.0")


def test_a_dead_letter_keeps_the_original_and_says_why() -> None:
    """Key, value, headers and timestamp byte for byte; dlq.* headers valid against the model."""
    headers: Headers = [("h", b"\xff\x00"), ("h", None), ("dlq.error", b"stale")]
    record = RawRecord(b"\xffnot json", b"\xfe", headers, 123, INPUT)

    letter = dead_letter(record, Place("articles.raw", 3, 7), InvalidJson("why"), None, WRITER, NOW)

    assert (letter.topic, letter.key, letter.value) == (
        "articles.dead-letter",
        b"\xfe",
        b"\xffnot json",
    )
    assert letter.timestamp_ms == 123
    assert letter.headers[:2] == [("h", b"\xff\x00"), ("h", None)]
    why = {
        name: (value or b"").decode() for name, value in letter.headers if name.startswith("dlq.")
    }
    parsed = DeadLetterHeaders.model_validate(why)
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(
        {name: (value or b"").decode("utf-8", "replace") for name, value in letter.headers}
    )
    assert (parsed.stage, parsed.error, parsed.offset) == ("decode", "InvalidJson", 7)
    assert parsed.attempts == 1 and parsed.filter is None


def test_a_letter_replayed_is_the_original_with_what_counts_attempts() -> None:
    """And one that fails again says so."""
    record = RawRecord(b"v", b"k", [("h", b"1")], 123, INPUT)
    place = Place("articles.raw", 0, 1)
    letter = dead_letter(record, place, ModelFailed("m"), "uplifting", WRITER, NOW)
    sent = RawRecord(letter.value or b"", letter.key, letter.headers, 123, INPUT)

    again = replay(sent, "articles.raw")

    assert (again.key, again.value, again.timestamp_ms) == (b"k", b"v", 123)
    assert again.headers == [("h", b"1"), ("dlq.attempts", b"1"), ("dlq.filter", b"uplifting")]
    failed_again = RawRecord(b"v", b"k", again.headers, 123, INPUT)
    second = dead_letter(failed_again, place, ModelFailed("m"), "uplifting", WRITER, NOW)
    assert attempts(second.headers) == 2
    assert [name for name, _ in second.headers].count("dlq.attempts") == 1


@pytest.mark.parametrize("value", [b"x", b"-1", b"9" * 50, b"", None, b"\xff"])
def test_an_attempts_header_that_is_no_count_counts_as_none(value: bytes | None) -> None:
    """Headers of others are data."""
    assert attempts([("dlq.attempts", value)]) == 0


@pytest.mark.parametrize("value", [b"", b"nope", b"\xff\x00", b"uplifting/v4", b" uplifting", None])
def test_a_filter_header_that_names_no_filter_is_for_all_of_them(value: bytes | None) -> None:
    """Headers of others are data; a filter of the catalogue is for whoever runs it."""
    catalogue = {"uplifting", "sustainability"}

    assert only_filter([("dlq.filter", value)], catalogue) is None
    assert only_filter([("dlq.filter", b"sustainability")], catalogue) == "sustainability"


def test_the_line_of_a_bad_line_is_valid() -> None:
    """For `newsieve score` and `tier`."""
    line = dead_letter_line(7, InvalidJson("w" * 5_000))

    parsed = DeadLetterLine.model_validate_json(line)
    assert (parsed.line, parsed.stage, parsed.error) == (7, "decode", "InvalidJson")
    assert len(parsed.message) == 1_000
