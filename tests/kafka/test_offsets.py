"""Offsets and epochs: what is committed, where a rewind goes, what becomes void."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from newsieve.kafka.offset_ranges import OffsetRanges
from newsieve.kafka.offsets import Offsets

A, B = ("raw", 0), ("raw", 1)


def test_what_is_committed_is_one_past_the_last_produced() -> None:
    """Not the consumer's position: batches in flight are behind it."""
    offsets = Offsets()
    offsets.assign([A, B])
    for offset in range(5):
        offsets.take(A, offset)
    offsets.produce(A, 0)
    offsets.produce(A, 1)

    assert offsets.to_commit() == {A: 2}
    offsets.committed()
    assert offsets.to_commit() == {}
    assert offsets.rewind() == {A: 2}


def test_all_is_reached_at_the_end_of_what_is_committed() -> None:
    """What ends a transaction has an offset behind the last record: nothing is left there."""
    offsets = Offsets()
    offsets.assign([A])
    assert offsets.lag_position(A) is None
    for offset in range(5):
        offsets.take(A, offset)
    offsets.at_end(A, 6)
    offsets.produce(A, 3)
    offsets.committed()
    assert offsets.lag_position(A) == 4
    offsets.produce(A, 4)
    offsets.committed()

    assert offsets.lag_position(A) == 6
    offsets.take(A, 6)
    assert offsets.lag_position(A) == 5
    offsets.rewind()
    assert offsets.lag_position(A) == 5


def test_a_rewind_before_any_commit_goes_to_the_first_record_taken() -> None:
    """Wherever the group had left the partition."""
    offsets = Offsets()
    offsets.assign([A])
    epoch = offsets.take(A, 40)
    offsets.take(A, 43)
    assert epoch is not None

    assert offsets.rewind() == {A: 40}
    assert not offsets.is_current(A, epoch)


def test_a_partition_that_left_and_came_back_has_a_new_epoch() -> None:
    """Work from before is void, and progress starts anew."""
    offsets = Offsets()
    offsets.assign([A, B])
    a, b = offsets.take(A, 7), offsets.take(B, 3)
    assert a is not None and b is not None
    offsets.revoke([A])
    assert offsets.take(A, 8) is None
    offsets.assign([A])

    assert not offsets.is_current(A, a)
    assert offsets.is_current(B, b)
    assert offsets.rewind() == {B: 3}


def test_what_the_broker_has_committed_overrides_what_we_believe() -> None:
    """After a commit of unknown outcome; partitions that left are not touched."""
    offsets = Offsets()
    offsets.assign([A])
    offsets.take(A, 10)
    offsets.resume_at({A: 25, B: 3})

    assert offsets.rewind() == {A: 25}


class Worker(RuleBasedStateMachine):
    """Takes, produces, commits, aborts, loses and regains one partition, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.offsets = Offsets()
        self.log_end = 0
        self.committed = 0
        self.position = 0
        self.in_flight: list[tuple[int, int]] = []
        self.open_transaction: list[int] = []
        self.visible: list[int] = []
        self.offsets.assign([A])

    @rule(count=st.integers(1, 5))
    def take(self, count: int) -> None:
        for _ in range(count):
            epoch = self.offsets.take(A, self.position)
            if epoch is not None:
                self.in_flight.append((self.position, epoch))
                self.position += 1

    @rule()
    def produce_next(self) -> None:
        if self.in_flight:
            offset, epoch = self.in_flight.pop(0)
            if self.offsets.is_current(A, epoch):
                self.open_transaction.append(offset)
                self.offsets.produce(A, offset)

    @rule()
    def commit(self) -> None:
        self.committed = self.offsets.to_commit().get(A, self.committed)
        self.visible += self.open_transaction
        self.open_transaction = []
        self.offsets.committed()

    @rule()
    def abort(self) -> None:
        self.open_transaction = []
        for offset in self.offsets.rewind().values():
            self.position = offset

    @precondition(lambda self: len(self.offsets) == 1)
    @rule()
    def lose(self) -> None:
        self.open_transaction = []
        self.offsets.revoke([A])

    @precondition(lambda self: len(self.offsets) == 0)
    @rule()
    def regain(self) -> None:
        self.offsets.assign([A])
        self.position = self.committed

    @invariant()
    def every_record_is_visible_exactly_once_and_in_order(self) -> None:
        assert self.visible == list(range(self.committed))


TestAnyInterleaving = Worker.TestCase
TestAnyInterleaving.settings = settings(max_examples=300, stateful_step_count=40)


class Ranges(RuleBasedStateMachine):
    """A set of offsets against Python's own."""

    def __init__(self) -> None:
        super().__init__()
        self.ranges = OffsetRanges()
        self.known: set[int] = set()

    @rule(offset=st.integers(0, 30))
    def add(self, offset: int) -> None:
        self.ranges.add(offset)
        self.known.add(offset)

    @invariant()
    def holds_what_was_added_in_as_few_ranges_as_possible(self) -> None:
        assert {n for n in range(32) if n in self.ranges} == self.known
        starts = {n for n in self.known if n - 1 not in self.known}
        assert len(self.ranges.as_lists()) == len(starts)
        assert OffsetRanges(self.ranges.as_lists()).as_lists() == self.ranges.as_lists()


TestRanges = Ranges.TestCase
