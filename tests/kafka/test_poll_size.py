"""How much is taken at a time, whatever a batch unfolds to."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from backports import zstd

from newsieve.kafka import group_consumer
from newsieve.kafka.group_consumer import GroupConsumer
from newsieve.kafka.messages import GroupRecord
from newsieve.kafka.offset_query import OffsetQuery
from newsieve.kafka.poll_size import MOST_BYTES, STEP_RECORDS, size_of
from newsieve.records.decode import RawRecord
from tests.support.scripted import TOPIC, Message, ScriptedConsumer

BOMB = b"[" * 3_900_000
USUAL = b"{}" * 2_000


def streamed(value: bytes) -> bytes:
    """As zstd that does not say how long it is."""
    compressor = zstd.ZstdCompressor()
    return compressor.compress(value) + compressor.flush()


class Unfolded(ScriptedConsumer):
    """Has as many records of one size as it is asked for."""

    def __init__(self, value: bytes) -> None:
        super().__init__([])
        self.value, self.next = value, 0
        self.asked: list[int] = []

    def consume(self, count: int, _: float) -> list[Message]:
        self.asked.append(count)
        places = range(self.next, self.next + count)
        self.next += count
        return [Message(0, at, self.value) for at in places]


def consumer_of(consumer: ScriptedConsumer, monkeypatch: pytest.MonkeyPatch) -> GroupConsumer:
    monkeypatch.setattr(group_consumer, "make_consumer", lambda _: consumer)
    member = GroupConsumer({}, TOPIC, OffsetQuery({}, [TOPIC], lambda: None), lambda _: None)
    idle = SimpleNamespace(before_revoke=lambda _: None, after_loss=lambda: None)
    member.subscribe(idle)
    consumer.assign(0)
    return member


def total_bytes(taken: list[GroupRecord]) -> int:
    return sum(size_of(item.record) for item in taken if item.record is not None)


def test_of_large_records_few_are_taken_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """None is passed over. Only the first step does not know yet how large they are."""
    member = consumer_of(Unfolded(BOMB), monkeypatch)

    taken = [member.poll(128, 0) for _ in range(5)]

    assert total_bytes(taken[0]) <= STEP_RECORDS * len(BOMB) * 1.01
    assert all(0 < total_bytes(more) <= MOST_BYTES + len(BOMB) for more in taken[1:])
    assert [item.offset for more in taken for item in more] == list(range(sum(map(len, taken))))


def test_of_usual_records_as_many_are_taken_as_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are as full as they were."""
    member = consumer_of(Unfolded(USUAL), monkeypatch)

    assert [len(member.poll(count, 0)) for count in (1, 128, 1_000)] == [1, 128, 1_000]


def test_steps_grow_over_usual_records_and_are_small_again_after_a_large_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each step has its price; and a whole batch of large records comes once at most."""
    consumer = Unfolded(USUAL)
    member = consumer_of(consumer, monkeypatch)
    for _ in range(4):
        member.poll(128, 0)
    assert consumer.asked[-1] == 128

    consumer.value = BOMB
    taken = [total_bytes(member.poll(128, 0)) for _ in range(3)]

    assert taken[0] <= 128 * len(BOMB) * 1.01 and max(taken[1:]) <= MOST_BYTES + len(BOMB)
    consumer.value, consumer.asked = USUAL, []
    member.poll(128, 0)
    assert max(consumer.asked[:2]) <= STEP_RECORDS


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress, streamed])
def test_what_a_producer_compressed_counts_as_what_it_unfolds_to(
    compress: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some bytes each, and no more of them at a time than of the large records that they are."""
    member = consumer_of(Unfolded(compress(BOMB)), monkeypatch)

    taken = [member.poll(128, 0) for _ in range(3)]

    assert len(taken[0]) <= STEP_RECORDS
    assert all(0 < len(more) * len(BOMB) <= MOST_BYTES + len(BOMB) for more in taken[1:])


def test_large_headers_and_keys_count() -> None:
    """A record may have everything in them."""
    record = RawRecord(b"12", b"345", [("six", None), ("ninety", b"x" * 90)], None, {})

    assert size_of(record) == 2 + 3 + 3 + 6 + 90
