"""Replaying dead letters: what a large topic does to a transaction."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from newsieve.errors import TimestampRefused, TooLarge, TopicsWrong
from newsieve.kafka import dead_letter_topic, original_records
from newsieve.kafka.config import Cluster
from newsieve.kafka.dead_letter_topic import DeadLetters, Letter, Selection
from newsieve.kafka.messages import StoredRecord
from newsieve.kafka.offset_ranges import OffsetRanges
from newsieve.records.dead_letter import RecordPosition, Writer, dead_letter, explanation
from newsieve.records.decode import RawRecord
from newsieve.records.encode import OutRecord
from newsieve.records.oversize_letter import abridged
from tests.support.ledger import Ledger, LedgerProducer


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests need none."""
    monkeypatch.setattr(dead_letter_topic, "TopicAdmin", lambda _: SimpleNamespace(partitions=dict))


def test_a_long_search_for_more_letters_does_not_keep_a_transaction_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The broker would end it, and the replay with it, on every try."""
    producer = LedgerProducer(Ledger())
    searched_with_one_open = 0

    def letters(_: DeadLetters, selection: Selection) -> Iterator[Letter]:
        nonlocal searched_with_one_open
        for offset in range(1_000):
            why = {"stage": "decode" if offset == 3 else "score", "filter": "uplifting"}
            found = StoredRecord(
                RawRecord(b"{", None, [], None, {}), ("articles.dead-letter", 0), offset
            )
            searched_with_one_open += producer.is_open
            if selection.takes(why):
                yield Letter(found, why, is_replayed=False)

    ticks = itertools.count()
    monkeypatch.setattr(
        "newsieve.kafka.dead_letter_topic.time.monotonic", lambda: next(ticks) * 0.1
    )
    monkeypatch.setattr(DeadLetters, "letters", letters)
    monkeypatch.setattr(DeadLetters, "_replayed", lambda _: dict[int, OffsetRanges]())
    monkeypatch.setattr(dead_letter_topic, "make_producer", lambda _: producer)

    replaying = DeadLetters(Cluster("nowhere", {}), "articles")
    replayed = replaying.replay(Selection(stage="decode"), None, lambda: "2026-11-23")
    assert replayed == {"uplifting": 1}

    seconds = searched_with_one_open * 0.1
    assert seconds <= 2 * dead_letter_topic.TRANSACTION_SECONDS
    assert not producer.is_open


def test_only_raw_records_are_put_back_and_never_elsewhere_than_on_the_raw_topic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A letter says where it came from, and anybody who may write letters could say it: no
    decision, request or label is made of one, whatever its topic is called."""
    producer = LedgerProducer(Ledger())
    topics: list[str] = []
    said = (
        *("articles.raw", "articles.control", "articles.oracle.requests", "articles.oracle.scores"),
        *("articles.scored", "articles.canaries", "articles.drift.state", "articles.dead-letter"),
        *("elsewhere.raw", "raw", "", "articles.raw "),
    )

    def letters(_: DeadLetters, __: Selection) -> Iterator[Letter]:
        for offset, topic in enumerate(said):
            found = StoredRecord(
                RawRecord(b"{", None, [], None, {}), ("articles.dead-letter", 0), offset
            )
            yield Letter(found, {"topic": topic}, is_replayed=False)
        found = StoredRecord(RawRecord(b"{", None, [], None, {}), ("articles.dead-letter", 0), 99)
        yield Letter(found, {}, is_replayed=False)

    monkeypatch.setattr(producer, "produce", lambda topic, *_, **__: topics.append(topic))
    monkeypatch.setattr(DeadLetters, "letters", letters)
    monkeypatch.setattr(DeadLetters, "_replayed", lambda _: dict[int, OffsetRanges]())
    monkeypatch.setattr(dead_letter_topic, "make_producer", lambda _: producer)

    letters_ = DeadLetters(Cluster("nowhere", {}), "articles")
    replayed = letters_.replay(Selection(), None, lambda: "2026-11-23")

    assert topics == ["articles.raw", "articles.raw", "articles.control"]  # what was replayed
    assert replayed.total() == 2
    assert letters_.left == Counter(said[1:])


def decision(
    partition: object = 0, ranges: object = ((2, 3),), topic: str = "dead-letter"
) -> bytes:
    arguments = {"topic": f"articles.{topic}", "partition": partition, "ranges": ranges}
    return json.dumps({"decision": "dead_letters_replayed", "arguments": arguments}).encode()


def replayed_offsets(
    monkeypatch: pytest.MonkeyPatch, control: list[tuple[bytes, bytes | None]]
) -> list[int]:
    """Of five letters, those that a control topic of these keys and values says were replayed."""

    def read(_: Cluster, topic: str, **__: bool) -> Iterator[StoredRecord]:
        letters: list[tuple[bytes, bytes | None]] = [(b"k", b"{")] * 5
        for offset, (key, value) in enumerate(control if topic.endswith("control") else letters):
            yield StoredRecord(RawRecord(value or b"", key, None, None, {}), (topic, 0), offset)

    monkeypatch.setattr(dead_letter_topic, "read", read)
    letters = DeadLetters(Cluster("nowhere", {}), "articles").letters(Selection())
    return [letter.stored.offset for letter in letters if letter.is_replayed]


@pytest.mark.parametrize(
    "foreign",
    [
        b"x",
        b"[]",
        b"\xff",
        b"[" * 5_000,
        b"{}",
        b'{"decision": "rebaseline", "arguments": null}',
        decision(ranges=None, topic="other"),
    ],
)
def test_what_is_no_decision_about_these_letters_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, foreign: bytes
) -> None:
    """The control topic is everybody's."""
    control = [(b"a", foreign), (b"dead-letters/0", decision()), (b"b", foreign)]

    assert replayed_offsets(monkeypatch, [*control]) == [2, 3]


BROKEN = [
    b'{"decision": "dead_letters_replayed", "arguments": null}',
    b'{"decision": "dead_letters_replayed", "arguments": {}}',
    decision(ranges=[[5]]),
    decision(ranges=None),
    decision(partition="0"),
    decision(partition=[]),
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_decision_that_cannot_be_read_stops_with_where_it_is(
    monkeypatch: pytest.MonkeyPatch, broken: bytes
) -> None:
    """Passing it over would replay letters twice."""
    with pytest.raises(TopicsWrong, match=r"articles.control: partition 0, offset 1 .*'k'"):
        replayed_offsets(monkeypatch, [(b"dead-letters/0", decision()), (b"k", broken)])


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_decision_is_mended_by_a_later_one(
    monkeypatch: pytest.MonkeyPatch, broken: bytes
) -> None:
    """The latest of a key counts, long before the broker drops the others."""
    mended = [(b"k", broken), (b"k", decision(ranges=[[0, 0]]))]

    assert replayed_offsets(monkeypatch, [*mended]) == [0]
    assert replayed_offsets(monkeypatch, [*mended, (b"k", None)]) == []


NOW = 1_800_000_000_000
HOUR = 3_600_000


def times_taught(monkeypatch: pytest.MonkeyPatch, *refusals: TimestampRefused) -> dict[int, bool]:
    """Which of some times are put back as they were, after these refusals."""
    monkeypatch.setattr("newsieve.kafka.dead_letter_topic.time.time_ns", lambda: NOW * 1_000_000)
    times = dead_letter_topic._Times()
    for refusal in refusals:
        assert times.learn(refusal)
    asked = (NOW - 9 * HOUR, NOW - 5 * HOUR, NOW - HOUR, NOW + HOUR, NOW * 1_000)
    return {at: times.fitting(OutRecord("t", None, b"", [], at)).timestamp_ms == at for at in asked}


def test_times_that_were_refused_and_those_beyond_them_are_not_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Either way from the present; those in between stay."""
    refused = TimestampRefused("scripted")
    refused.refused_ms = [NOW - 9 * HOUR, NOW - 5 * HOUR, NOW * 1_000]

    kept = times_taught(monkeypatch, refused)

    assert list(kept.values()) == [False, False, True, True, False]


def test_of_a_batch_that_was_refused_for_one_time_the_farthest_is_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The broker names none; the others of the batch keep theirs."""
    refused = TimestampRefused("scripted")
    refused.suspected_ms = [[NOW - HOUR, NOW - 9 * HOUR], [NOW - HOUR, NOW * 1_000]]

    kept = times_taught(monkeypatch, refused)

    assert list(kept.values()) == [False, True, True, True, False]


def test_a_replay_whose_present_time_is_refused_too_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than trying for ever: a clock is wrong, or a topic's limit."""
    tries = 0

    class Refusing(LedgerProducer):
        def commit_transaction(self, _: float) -> None:
            nonlocal tries
            tries += 1
            error = KafkaError(KafkaError.INVALID_TIMESTAMP, "scripted", txn_requires_abort=True)
            raise KafkaException(error)

    def letters(_: DeadLetters, __: Selection) -> Iterator[Letter]:
        found = StoredRecord(RawRecord(b"{", None, [], NOW, {}), ("articles.dead-letter", 0), 0)
        yield Letter(found, {}, is_replayed=False)

    monkeypatch.setattr(DeadLetters, "letters", letters)
    monkeypatch.setattr(DeadLetters, "_replayed", lambda _: dict[int, OffsetRanges]())
    monkeypatch.setattr(dead_letter_topic, "make_producer", lambda _: Refusing(Ledger()))

    with pytest.raises(TimestampRefused, match=r"message\.timestamp\.before\.max\.ms"):
        DeadLetters(Cluster("nowhere", {}), "articles").replay(Selection(), None, lambda: "now")
    assert tries == 1


WHOLE = RawRecord(b"[" * 9_000_000, None, [("h", b"1")], 5, {})


@pytest.mark.parametrize(
    ("stands", "limit", "missed"),
    [
        (WHOLE, 16_000_000, None),
        (WHOLE, 8_000_000, original_records.TOO_LARGE),
        (RawRecord(b"{}", b"another", None, 5, {}), 16_000_000, original_records.ANOTHER),
        (None, 16_000_000, original_records.GONE),
    ],
)
def test_a_letter_that_has_a_part_is_replayed_from_where_the_whole_stands(
    monkeypatch: pytest.MonkeyPatch, stands: RawRecord | None, limit: int, missed: str | None
) -> None:
    """Never as the part; and one that cannot be is left, counted, and may be replayed later."""
    place = RecordPosition("articles.raw", 3, 7)
    writer = Writer("articles.dead-letter", "g", "1")
    full = dead_letter(WHOLE, place, TooLarge("m"), None, writer, "2026-11-30")
    part = abridged(full, 8_000_000, "truncate")
    record = RawRecord(part.value or b"", part.key, part.headers, 1, {})
    asked: list[object] = []

    def record_at(_: Cluster, *where: object) -> RawRecord | None:
        asked.append(where)
        return stands

    def letters(_: DeadLetters, __: Selection) -> Iterator[Letter]:
        found = StoredRecord(record, ("articles.dead-letter", 0), 0)
        yield Letter(found, dict(explanation(record.headers)), is_replayed=False)

    produced: list[tuple[object, ...]] = []
    producer = LedgerProducer(Ledger())
    monkeypatch.setattr(producer, "produce", lambda *record, **_: produced.append(record))
    monkeypatch.setattr(original_records, "record_at", record_at)
    monkeypatch.setattr(DeadLetters, "letters", letters)
    monkeypatch.setattr(DeadLetters, "_replayed", lambda _: dict[int, OffsetRanges]())
    monkeypatch.setattr(dead_letter_topic, "make_producer", lambda _: producer)

    replaying = DeadLetters(Cluster("nowhere", {"message.max.bytes": limit}), "articles")
    done = replaying.replay(Selection(), None, lambda: "2026-11-30")

    assert asked == [(("articles.raw", 3), 7)]
    assert replaying.originals.missed == ({missed: 1} if missed is not None else {})
    assert done.total() == (missed is None)
    assert [item[:3] for item in produced if item[0] == "articles.raw"] == (
        [("articles.raw", WHOLE.value, None)] if missed is None else []
    )


@pytest.mark.parametrize("place", [("1e3", "7"), ("-1", "7"), ("9" * 5_000, "7"), ("3", "")])
def test_a_place_that_is_none_is_not_looked_at(place: tuple[str, str]) -> None:
    """Whoever may write dead letters may write anything there."""
    found = original_records.Originals(Cluster("nowhere", {}))
    why = {"topic": "articles.raw", "partition": place[0], "offset": place[1]}

    assert found.restored(WHOLE, why, "articles.raw") is None
    assert found.missed == {original_records.GONE: 1}
