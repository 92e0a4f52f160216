"""Records of many partitions come in one order, whenever they arrive."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from newsieve.kafka.event_time_merge import (
    BELIEVED_MILLISECONDS,
    EventTimeMerger,
    TimedRecord,
    clamp_timestamp,
)

A, B, C = PARTITIONS = (("a", 0), ("a", 1), ("b", 0))
SETTLE = 1_000
LATER = 10**6


def timeline() -> EventTimeMerger[str]:
    return EventTimeMerger(PARTITIONS, SETTLE)


def taken(line: EventTimeMerger[str], now: int = LATER) -> list[str]:
    return [record.item for record in line.due(now)]


def arrivals(
    streams: Sequence[Sequence[int]], rng: random.Random
) -> Iterator[tuple[TimedRecord[str] | None, int]]:
    """Each partition's records and its end, in pieces, partitions as chance has it."""
    left = [[*enumerate(times), None] for times in streams]
    while any(left):
        which = rng.choice([at for at, queue in enumerate(left) if queue])
        for _ in range(rng.randint(1, 3)):
            if left[which]:
                found = left[which].pop(0)
                if found is None:
                    yield None, which
                else:
                    offset, at = found
                    yield (
                        TimedRecord(PARTITIONS[which], offset, at, f"{which}.{offset}@{at}"),
                        which,
                    )


@given(
    streams=st.lists(
        st.lists(st.integers(0, 50), max_size=8), min_size=len(PARTITIONS), max_size=len(PARTITIONS)
    ),
    seeds=st.tuples(st.integers(0, 1_000), st.integers(0, 1_000)),
)
@settings(max_examples=100)
def test_the_order_does_not_depend_on_how_records_arrive(
    streams: list[list[int]], seeds: tuple[int, int]
) -> None:
    """Whatever comes first, and whenever somebody looks: all of them, each partition's in its own
    order, those of sorted partitions by time."""
    orders = []
    for seed in seeds:
        rng, line = random.Random(seed), timeline()
        found: list[str] = []
        for record, which in arrivals(streams, rng):
            if record is None:
                line.at_end(PARTITIONS[which])
            else:
                line.put(record, 0)
            if rng.random() < 0.5:
                found += taken(line)
        orders.append(found + taken(line))
        assert line.size == 0

    assert orders[0] == orders[1]
    for which, times in enumerate(streams):
        mine = [item for item in orders[0] if item.startswith(f"{which}.")]
        assert mine == [f"{which}.{offset}@{at}" for offset, at in enumerate(times)]
    if all(times == sorted(times) for times in streams):
        stamps = [int(item.partition("@")[2]) for item in orders[0]]
        assert stamps == sorted(stamps)


def test_a_partition_that_may_have_something_earlier_is_waited_for() -> None:
    """Until it says something or has been read to its end; then again, once it is exhausted."""
    line = timeline()
    line.put(TimedRecord(A, 0, 10, "a"), 0)
    line.at_end(B)
    assert taken(line) == [] and line.watermark(LATER) is None

    line.put(TimedRecord(C, 0, 5, "c"), 0)
    assert taken(line) == ["c"]  # and nothing of A, until C has said more
    assert line.at_hand() == {A}
    line.at_end(C)
    assert taken(line) == ["a"]
    assert line.watermark(LATER) is None  # A may have more
    line.at_end(A)
    assert line.watermark(LATER) == LATER - SETTLE


def test_at_the_end_of_all_a_record_settles_first() -> None:
    """Another, written before it, may be on its way; one that comes too late comes out of turn."""
    line = timeline()
    for partition in PARTITIONS:
        line.at_end(partition)
    line.put(TimedRecord(A, 0, 5_000, "a"), 5_100)
    line.at_end(A)
    assert taken(line, 5_900) == []
    line.put(TimedRecord(B, 0, 4_900, "b"), 5_950)
    line.at_end(B)

    assert taken(line, 6_000) == ["b", "a"]
    line.put(TimedRecord(C, 0, 4_000, "late"), 6_050)
    line.at_end(C)
    assert taken(line, 6_050) == ["late"]


def test_of_one_moment_the_partitions_order_decides() -> None:
    """A decision comes before a label of the same millisecond, on every run."""
    for order in (PARTITIONS, PARTITIONS[::-1]):
        line = timeline()
        for partition in order:
            line.put(TimedRecord(partition, 0, 7, str(partition)), 0)
            line.at_end(partition)
        assert taken(line) == [str(partition) for partition in PARTITIONS]


def test_a_time_from_far_ahead_is_not_believed() -> None:
    """It would hold everything up; nor is there one where the record has none, or one before 1970,
    for which an alert has no date. Clocks may differ a little."""
    assert clamp_timestamp(None, 100) == clamp_timestamp(-1, 100) == 100
    assert clamp_timestamp(0, 100) == 0
    assert clamp_timestamp(100 + BELIEVED_MILLISECONDS, 100) == 100 + BELIEVED_MILLISECONDS
    assert clamp_timestamp(101 + BELIEVED_MILLISECONDS, 100) == 100
    line = timeline()
    for partition in PARTITIONS:
        line.at_end(partition)
    line.put(TimedRecord(A, 0, 60_000, "ahead"), 100)
    line.at_end(A)
    assert taken(line, 1_100) == ["ahead"]  # once it has been here for as long
