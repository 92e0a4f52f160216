"""Calls that never return."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.support.ledger import Ledger, LedgerProducer
from worker.codec.encode import OutRecord
from worker.errors import OutcomeUnknown
from worker.kafka import bounded, transaction
from worker.kafka.bounded import Caller, CallHung
from worker.kafka.transaction import Publisher


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """What a hanging call waits for, until the test is over."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(transaction, "OPERATION_SECONDS", 0.1)


def test_a_call_returns_and_raises_as_it_is() -> None:
    """And is told how long it may take."""
    caller = Caller()

    assert caller.call(lambda seconds: seconds * 2, 3) == 6
    with pytest.raises(ZeroDivisionError):
        caller.call(lambda _: 1 / 0, 3)


def test_a_call_that_hangs_is_left_behind_and_the_next_one_is_made(never: threading.Event) -> None:
    """Its thread is a daemon, so that the process can end."""
    caller = Caller()

    with pytest.raises(CallHung):
        caller.call(lambda _: never.wait(), 0.1)
    assert caller.call(lambda _: "next", 3) == "next"
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "calls")


def test_a_producer_that_hangs_is_replaced_and_the_outcome_unknown(never: threading.Event) -> None:
    """It may have sent the offsets and it may not: the broker is asked."""
    ledger, made = Ledger(), list[LedgerProducer]()

    def make(_: object) -> LedgerProducer:
        made.append(LedgerProducer(ledger))
        return made[-1]

    publisher = Publisher(make, lambda: None)  # type: ignore[arg-type]
    publisher.connect()
    made[0].send_offsets_to_transaction = lambda *_: never.wait()  # type: ignore[assignment]
    publisher.produce(OutRecord("t", None, b"{}", []))

    with pytest.raises(OutcomeUnknown, match="not returned"):
        publisher.commit({("raw", 0): 1}, b"member")
    assert len(made) == 2

    publisher.produce(OutRecord("t", None, b"{}", []))
    publisher.commit({("raw", 0): 1}, b"member")
    assert ledger.offsets == {0: 1}
