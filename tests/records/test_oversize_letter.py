"""Dead letters of records that are larger than a record may be."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsieve.errors import OutputTooLarge, TooLarge
from newsieve.kafka.config import LEAST_MESSAGE_BYTES
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.records.dead_letter import RecordPosition, Writer, dead_letter, replay
from newsieve.records.decode import RawRecord
from newsieve.records.encode import OutRecord
from newsieve.records.oversize_letter import MOST_KEPT_BYTES, OversizeLetters, abridged, whole
from newsieve_schemas.dead_letter import DeadLetterHeaders
from newsieve_schemas.topics import MAX_MESSAGE_BYTES

PLACE = RecordPosition("articles.raw", 3, 7)
WRITER = Writer("articles.dead-letter", "g", "1.0")
NOW = "2026-11-30T00:00:00.000Z"
MEGABYTE = 1_000_000


def letter_of(
    record: RawRecord,
    how: OversizeLetters = "truncate",
    most: int = MAX_MESSAGE_BYTES,
    message: str = "too large",
) -> OutRecord:
    letter = dead_letter(record, PLACE, TooLarge(message), "uplifting", WRITER, NOW)
    return abridged(letter, most, how)


def as_read(letter: OutRecord) -> RawRecord:
    return RawRecord(letter.value or b"", letter.key, letter.headers, 1, {})


def facts_of(letter: OutRecord) -> DeadLetterHeaders:
    named = {name: value for name, value in letter.headers if name.startswith("dlq.")}
    return DeadLetterHeaders.model_validate({k: (v or b"").decode() for k, v in named.items()})


def require_fit(letter: OutRecord, most: int) -> None:
    def never(_: object) -> None:
        raise AssertionError

    TransactionalProducer(never, lambda: None, most).require_fit([letter])


HUGE = RawRecord(b"\xff[" * (5 * MEGABYTE), b"k", [("h", b"1"), ("h", None)], 5, {})


def test_a_large_value_is_cut_and_its_size_hash_and_place_are_said() -> None:
    """Key and headers stay: they are small."""
    letter = letter_of(HUGE)
    facts = facts_of(letter)

    assert letter.value == HUGE.value[:MOST_KEPT_BYTES] and letter.key == b"k"
    assert letter.headers[:2] == HUGE.headers
    assert facts.truncated == 10 * MEGABYTE
    assert facts.sha256 == hashlib.sha256(HUGE.value).hexdigest()
    assert "it stands at articles.raw/3, offset 7, as long as the topic keeps it" in facts.message
    assert facts.headers_left_out is None and facts.key_left_out is None


def test_by_a_setting_nothing_of_the_value_is_kept() -> None:
    """No tombstone either: the letter says that there was one."""
    letter = letter_of(HUGE, "headers")

    assert letter.value == b""
    assert facts_of(letter).truncated == 10 * MEGABYTE


def test_headers_that_are_too_many_or_too_large_are_kept_as_far_as_they_fit() -> None:
    """What is left out is counted."""
    few = RawRecord(b"{}", b"k", [("a", b"1"), ("big", bytes(9 * MEGABYTE)), ("b", b"2")], 5, {})
    many = RawRecord(b"{}", b"k", [("", b"")] * MEGABYTE, 5, {})

    letter = letter_of(few)
    assert letter.headers[0] == ("a", b"1") and letter.value == b"{}"
    assert facts_of(letter).headers_left_out == 2
    assert (facts_of(letter_of(many)).headers_left_out or 0) > 0.9 * MEGABYTE


def test_a_key_that_is_too_long_becomes_one_that_says_where_the_record_stands() -> None:
    """A cut one would be another record's."""
    letter = letter_of(RawRecord(b"{}", bytes(8 * MEGABYTE), None, 5, {}))
    facts = facts_of(letter)

    assert letter.key == b"articles.raw/3/7/uplifting"
    assert facts.key_left_out == 8 * MEGABYTE and facts.key_made == "true"


@settings(max_examples=60)
@given(
    value=st.sampled_from([0, 1, 70_000, 3 * MEGABYTE]),
    key=st.none() | st.sampled_from([0, 1, 70_000, 3 * MEGABYTE]),
    headers=st.lists(
        st.tuples(st.sampled_from(["", "h", "ü" * 40_000]), st.none() | st.binary(max_size=9)),
        max_size=4,
    ),
    times=st.sampled_from([1, 10_000]),
    most=st.sampled_from([LEAST_MESSAGE_BYTES, MEGABYTE]),
)
def test_it_always_fits(
    value: int,
    key: int | None,
    headers: list[tuple[str, bytes | None]],
    times: int,
    most: int,
) -> None:
    """So no record is without an outcome. Also with the longest message, topic and filter."""
    times = 1 if any(len(name) > 1 for name, _ in headers) else times
    original = RawRecord(
        bytes(value), bytes(key) if key is not None else None, headers * times, 5, {}
    )
    place, writer = RecordPosition("t" * 249, 10**6, 10**18), Writer("d", "g" * 200, "1.0")
    letter = dead_letter(original, place, TooLarge("\U0001f600" * 2_000), "f" * 100, writer, NOW)

    require_fit(abridged(letter, most, "truncate"), most)


def test_an_original_that_is_still_there_is_replayed_whole() -> None:
    """Its own key, value, headers and time, for the filter that failed."""
    letter = as_read(letter_of(HUGE))
    restored = whole(letter, HUGE)

    assert restored is not None
    back = replay(restored, "articles.raw")
    assert (back.key, back.value, back.timestamp_ms) == (HUGE.key, HUGE.value, 5)
    assert back.headers[:2] == HUGE.headers
    assert ("dlq.filter", b"uplifting") in back.headers


@pytest.mark.parametrize("key", [None, bytes(MEGABYTE)])
def test_a_key_that_was_made_up_is_not_replayed(key: bytes | None) -> None:
    """The original's own is."""
    original = HUGE._replace(key=key)
    restored = whole(as_read(letter_of(original)), original)

    assert restored is not None and replay(restored, "articles.raw").key == key


def test_another_record_at_its_place_is_not_taken_for_it() -> None:
    """The topic was made anew."""
    assert whole(as_read(letter_of(HUGE)), HUGE._replace(value=b"{}")) is None


def test_what_is_there_whole_says_so_by_saying_nothing() -> None:
    """Ordinary letters are as they were."""
    letter = dead_letter(HUGE, PLACE, TooLarge("m"), None, WRITER, NOW)

    assert facts_of(letter).truncated is None and letter.value == HUGE.value
    with pytest.raises(OutputTooLarge):
        require_fit(letter, MAX_MESSAGE_BYTES)
