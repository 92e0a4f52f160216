"""Calls that never return."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from newsieve.errors import OutcomeUnknown
from newsieve.kafka.call_timeout import CallTimedOut, TimedCaller
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.records.encode import OutRecord
from tests.support.impatience import limits
from tests.support.ledger import Ledger, LedgerProducer


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """What a hanging call waits for, until the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_a_call_returns_and_raises_as_it_is() -> None:
    """And is told how long it may take."""
    caller = TimedCaller(grace_seconds=0.1)

    assert caller.call(lambda seconds: seconds * 2, 3) == 6
    with pytest.raises(ZeroDivisionError):
        caller.call(lambda _: 1 / 0, 3)


def test_a_call_that_hangs_is_left_behind_and_the_next_one_is_made(never: threading.Event) -> None:
    """Its thread is a daemon, so that the process can end."""
    caller = TimedCaller(grace_seconds=0.1)

    with pytest.raises(CallTimedOut):
        caller.call(lambda _: never.wait(), 0.1)
    assert caller.call(lambda _: "next", 3) == "next"
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "calls")


def test_a_producer_that_hangs_is_replaced_and_the_outcome_unknown(never: threading.Event) -> None:
    """It may have sent the offsets and it may not: the broker is asked."""
    ledger, made = Ledger(), list[LedgerProducer]()

    def make(_: object) -> LedgerProducer:
        made.append(LedgerProducer(ledger))
        return made[-1]

    timeouts = limits(grace_seconds=0.1, operation_seconds=0.1)
    publisher = TransactionalProducer(make, lambda: None, timeouts=timeouts)  # type: ignore[arg-type]
    publisher.connect()
    made[0].send_offsets_to_transaction = lambda *_: never.wait()  # type: ignore[assignment]
    publisher.produce(OutRecord("t", None, b"{}", []))

    with pytest.raises(OutcomeUnknown, match="not returned"):
        publisher.commit({("raw", 0): 1}, b"member")
    assert len(made) == 2

    publisher.produce(OutRecord("t", None, b"{}", []))
    publisher.commit({("raw", 0): 1}, b"member")
    assert ledger.offsets == {0: 1}
