"""The delivery loop alone: what is tried again, for how long, and what is committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from newsieve.errors import BrokerLost, DeliveryRefused
from newsieve.kafka.messages import StoredRecord
from newsieve.programs.pushing.events import DELIVERED, Attempt
from newsieve.programs.pushing.loop import DeliveryLoop, RetryPolicy
from tests.support.pushing import Observer, Source

AWAY = Attempt("unavailable", "answers 503")
REFUSED = Attempt("refused", "answers 422")
AT_ONCE = RetryPolicy(max_pause_seconds=0.001, refused_pauses_seconds=(0.001,) * 5)


class Receiver:
    """Answers attempts by a script, then takes everything."""

    def __init__(self, script: Iterable[Attempt]) -> None:
        self.script = list(script)
        self.offsets: list[int] = []

    def deliver(self, item: StoredRecord) -> Attempt:
        self.offsets.append(item.offset)
        return self.script.pop(0) if self.script else DELIVERED

    def given_up(self, item: StoredRecord, reason: str, attempts: int) -> DeliveryRefused:
        return DeliveryRefused(f"{reason} {attempts} times at {item.offset}")


def run(
    source: Source,
    receiver: Receiver,
    policy: RetryPolicy = AT_ONCE,
    selects: Callable[[StoredRecord], bool] = lambda _: True,
    should_stop: Callable[[], bool] = lambda: False,
    jitter: float = 1.0,
) -> Observer:
    observer = Observer()
    loop = DeliveryLoop(
        source,
        lambda record: selects(next(item for item in source.items if item.record is record)),
        receiver,
        observer,
        policy,
        lambda: jitter,
    )
    loop.run(should_stop)
    return observer


def test_a_receiver_that_is_away_is_tried_for_ever_and_nothing_is_passed_by() -> None:
    """A hundred failures in a row are no reason to go on with the next record."""
    source, receiver = Source(3), Receiver([DELIVERED, *[AWAY] * 100])

    run(source, receiver)

    assert receiver.offsets == [0, *[1] * 101, 2]
    assert source.committed == 3


def test_pauses_double_up_to_their_longest_with_jitter_and_heed_what_is_advised() -> None:
    """A Retry-After is waited for where it is longer than the pause, up to an hour."""
    observer = Observer()
    loop = DeliveryLoop(
        Source(0), lambda _: True, Receiver([]), observer, RetryPolicy(60.0), lambda: 0.0
    )
    full = DeliveryLoop(
        Source(0), lambda _: True, Receiver([]), observer, RetryPolicy(60.0), lambda: 1.0
    )

    assert [full._pause_after(n, None) for n in (0, 1, 5, 6, 5_000)] == [1, 2, 32, 60, 60]
    assert [loop._pause_after(n, None) for n in (0, 1, 6)] == [0.5, 1, 30]
    assert full._pause_after(0, 90) == 90
    assert full._pause_after(0, 10.0**9) == 3_600


def test_a_refused_record_ends_the_loop_and_stays_the_next_one() -> None:
    """After the first refusal and five more; what came before it is committed."""
    source, receiver = Source(3), Receiver([DELIVERED, *[REFUSED] * 6])

    with pytest.raises(DeliveryRefused, match="answers 422 6 times at 1"):
        run(source, receiver)

    assert receiver.offsets == [0, *[1] * 6]
    assert source.committed == 1


def test_a_refusal_that_passes_is_no_end() -> None:
    """A receiver that is being rolled out may refuse for a moment."""
    source, receiver = Source(2), Receiver([REFUSED, AWAY, REFUSED])

    observer = run(source, receiver)

    assert source.committed == 2
    assert len(observer.pauses) == 3


def test_told_to_stop_it_leaves_the_record_that_waits() -> None:
    """Within half a second, however long the pause is; the record is not committed."""
    source, receiver = Source(2), Receiver([DELIVERED, *[AWAY] * 9])
    policy = RetryPolicy(max_pause_seconds=3_600)

    run(source, receiver, policy, should_stop=lambda: source.waits > 0)

    assert receiver.offsets == [0, 1]
    assert source.committed == 1


def test_a_record_whose_partition_is_taken_away_is_dropped() -> None:
    """The new owner delivers it."""
    source, receiver = Source(1), Receiver([AWAY])
    source.is_lost_after_waits = 1

    run(source, receiver, RetryPolicy(max_pause_seconds=3_600))

    assert receiver.offsets == [0]
    assert source.committed == 0


def test_what_is_passed_over_is_committed_too() -> None:
    """Or it would be read again at every start."""
    source, receiver = Source(3), Receiver([])

    observer = run(source, receiver, selects=lambda item: item.offset == 1)

    assert receiver.offsets == [1]
    assert observer.passed == [0, 2]
    assert source.committed == 3


def test_a_commit_that_fails_ends_nothing_but_the_last_one_is_said() -> None:
    """Records go on being delivered; the exit code says that they come again."""
    source, receiver = Source(3), Receiver([])
    source.is_broken = True

    with pytest.raises(BrokerLost, match="come again"):
        run(source, receiver, RetryPolicy(commit_seconds=0))

    assert receiver.offsets == [0, 1, 2]
