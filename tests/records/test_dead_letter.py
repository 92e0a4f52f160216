"""Dead letters as written and replayed."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from newsieve.errors import InvalidJson, ModelFailed
from newsieve.records.dead_letter import (
    RecordPosition,
    Writer,
    attempts,
    dead_letter,
    dead_letter_line,
    only_filter,
    replay,
)
from newsieve.records.decode import Headers, RawRecord
from newsieve.records.encode import OutRecord
from newsieve_schemas.dead_letter import DeadLetterHeaders, DeadLetterLine
from newsieve_schemas.export import FOLDER

NOW = "2026-11-22T16:00:00.000Z"
INPUT = {"topic": "articles.raw", "partition": 3, "offset": 1287, "timestamp": NOW}
SCHEMA = FOLDER / "json" / "DeadLetterHeaders.schema.json"
WRITER = Writer("articles.dead-letter", "g", "1.0")


def test_a_dead_letter_keeps_the_original_and_says_why() -> None:
    """Key, value and headers byte for byte, its time said; dlq.* headers valid by the model."""
    headers: Headers = [("h", b"\xff\x00"), ("h", None), ("dlq.error", b"stale")]
    record = RawRecord(b"\xffnot json", b"\xfe", headers, 123, INPUT)

    letter = dead_letter(
        record, RecordPosition("articles.raw", 3, 7), InvalidJson("why"), None, WRITER, NOW
    )

    assert (letter.topic, letter.key, letter.value) == (
        "articles.dead-letter",
        b"\xfe",
        b"\xffnot json",
    )
    assert letter.timestamp_ms is None  # the producer's clock: no broker refuses it
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
    assert parsed.timestamp == 123 and parsed.key_made is None


def as_found(letter: OutRecord, at: int) -> RawRecord:
    """A letter as it is read back, written at this time."""
    return RawRecord(letter.value or b"", letter.key, letter.headers, at, INPUT)


def test_a_record_without_a_key_gets_one_of_its_own_and_loses_it_when_it_is_replayed() -> None:
    """A compacted topic takes no record without a key, and keeps one of each key."""
    record = RawRecord(b"{", None, [("dlq.key-made", b"forged")], 123, INPUT)

    def letter(offset: int, filter_name: str | None) -> OutRecord:
        place = RecordPosition("articles.raw", 3, offset)
        return dead_letter(record, place, InvalidJson("why"), filter_name, WRITER, NOW)

    letters = [letter(7, None), letter(8, None), letter(8, "uplifting"), letter(8, "other")]

    assert len({item.key for item in letters}) == len(letters)
    for item in letters:
        assert item.key and [v for k, v in item.headers if k == "dlq.key-made"] == [b"true"]
        again = replay(as_found(item, 9_000), "articles.raw")
        assert (again.key, again.value, again.timestamp_ms) == (None, b"{", 123)
        assert not any(name == "dlq.key-made" for name, _ in again.headers)


def test_an_empty_key_is_a_key() -> None:
    """Compaction takes it, and nothing is made up."""
    letter = dead_letter(
        RawRecord(b"{", b"", None, None, INPUT),
        RecordPosition("t", 0, 1),
        InvalidJson("w"),
        None,
        WRITER,
        NOW,
    )

    assert letter.key == b"" and replay(as_found(letter, 9), "t").key == b""


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (None, 5),  # a letter of a former version has the original's time as its own
        (b"77", 77),
        (b"0", 0),
        (b"1764000000000000", 1764000000000000),  # microseconds, as they were
        (b"", 5),
        (b"-1", 5),
        (b"1.5", 5),
        ("\u0663".encode(), 5),
        (b"9" * 19, 2**63 - 1),
        (b"9" * 5_000, 5),
    ],
)
def test_the_original_time_is_put_back(said: bytes | None, expected: int) -> None:
    """What is no number of milliseconds says nothing: anybody may have written it."""
    headers: Headers = [("dlq.timestamp", said)] if said is not None else []

    assert replay(RawRecord(b"v", b"k", headers, 5, INPUT), "t").timestamp_ms == expected


def test_a_letter_replayed_is_the_original_with_what_counts_attempts() -> None:
    """And one that fails again says so."""
    record = RawRecord(b"v", b"k", [("h", b"1")], 123, INPUT)
    place = RecordPosition("articles.raw", 0, 1)
    letter = dead_letter(record, place, ModelFailed("m"), "uplifting", WRITER, NOW)

    again = replay(as_found(letter, 9_000), "articles.raw")

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

    parsed = DeadLetterLine.model_validate_json(line, extra="forbid")
    assert (parsed.line, parsed.stage, parsed.error) == (7, "decode", "InvalidJson")
    assert len(parsed.message) == 1_000
