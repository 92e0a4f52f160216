"""The loop of `newsieve ingest http`: what becomes of submissions when transactions fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from newsieve.errors import Fenced, OutcomeUnknown, Transient, Unavailable
from newsieve.kafka.config import Cluster, make_producer
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.programs.ingest.receiving import (
    AWAY_SECONDS,
    TRANSACTION_BYTES,
    TRANSACTION_RECORDS,
    ReceivingLoop,
)
from newsieve.records.encode import OutRecord
from newsieve.stream.transaction_counts import AbortFault
from tests.support.mock_cluster import mock_cluster
from tests.support.site import until

PATIENCE_SECONDS = 10.0


@dataclass
class ScriptedProducer:
    """Commits, or raises what the script says, one commit after another. `held` is waited for."""

    script: list[Exception | None] = field(default_factory=list)
    open: list[bytes] = field(default_factory=list)
    committed: list[list[bytes]] = field(default_factory=list)
    held: threading.Event | None = None
    has_left: bool = False

    def produce(self, record: OutRecord) -> None:
        self.open.append(record.value or b"")

    def commit_records(self) -> None:
        records, self.open = self.open, []
        if self.held is not None:
            assert self.held.wait(PATIENCE_SECONDS)
        error = self.script.pop(0) if self.script else None
        if error is not None:
            raise error
        self.committed.append(records)

    def leave(self) -> None:
        self.has_left = True


@dataclass
class KeepingObserver:
    """Keeps what it is told."""

    told: list[tuple[object, ...]] = field(default_factory=list)

    def heartbeat(self) -> None:
        pass

    def committed(self, requests: int, articles: int, seconds: float) -> None:
        assert seconds >= 0
        self.told.append(("committed", requests, articles))

    def aborted(self, reason: str, fault: AbortFault) -> None:
        self.told.append(("aborted", reason, fault))

    def outcome_unknown(self, requests: int, articles: int, reason: str) -> None:
        self.told.append(("unknown", requests, articles, reason))


class Running:
    """A loop and the thread that it runs on."""

    def __init__(self, loop: ReceivingLoop) -> None:
        self.loop = loop
        self.error: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.loop.run(self._stop.is_set)
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error


@contextmanager
def running(
    producer: ScriptedProducer, observer: KeepingObserver | None = None
) -> Iterator[Running]:
    found = Running(ReceivingLoop(producer, observer or KeepingObserver(), pause=lambda _: None))
    try:
        yield found
    finally:
        if producer.held is not None:
            producer.held.set()
        found.stop()


def records(*values: bytes) -> list[OutRecord]:
    return [OutRecord("articles.raw", value, value, []) for value in values]


def test_what_comes_during_a_transaction_shares_the_next_one() -> None:
    """In the order in which it came; each is told when its own transaction is committed."""
    producer, observer = ScriptedProducer(held=threading.Event()), KeepingObserver()
    with running(producer, observer) as ran:
        first = ran.loop.submit(records(b"1", b"2"), 10)
        until(first.running)
        others = [ran.loop.submit(records(value), 10) for value in (b"3", b"4", b"5")]
        assert not first.done()
        assert producer.held is not None
        producer.held.set()
        for future in (first, *others):
            assert future.result(PATIENCE_SECONDS) is None

    assert producer.committed == [[b"1", b"2"], [b"3", b"4", b"5"]]
    assert observer.told == [("committed", 1, 2), ("committed", 3, 3)]
    assert producer.has_left


@pytest.mark.parametrize(
    ("large", "small"),
    [
        (records(*[b"x"] * TRANSACTION_RECORDS), records(b"y")),
        (records(b"x" * TRANSACTION_BYTES), records(b"y")),
    ],
)
def test_a_transaction_has_so_many_records_and_bytes_and_always_a_whole_request(
    large: list[OutRecord], small: list[OutRecord]
) -> None:
    """A request larger than that has a transaction of its own."""
    producer = ScriptedProducer(held=threading.Event())
    with running(producer) as ran:
        first = ran.loop.submit(small, 10)
        until(first.running)
        rest = [ran.loop.submit(item, 10) for item in (large, small, large)]
        assert producer.held is not None
        producer.held.set()
        for future in rest:
            future.result(PATIENCE_SECONDS)

    sizes = [len(item) for item in producer.committed]
    assert sizes == [1, len(large), 1, len(large)]


def test_an_aborted_transaction_is_tried_again_whole() -> None:
    """Whoever waits learns nothing of it but the time."""
    observer = KeepingObserver()
    script: list[Exception | None] = [Transient("moved"), Transient("odd", passes=False)]
    producer = ScriptedProducer(script)
    with running(producer, observer) as ran:
        assert ran.loop.submit(records(b"1", b"2"), 60).result(PATIENCE_SECONDS) is None

    assert producer.committed == [[b"1", b"2"]]
    assert observer.told == [
        ("aborted", "moved", "passing"),
        ("aborted", "odd", "unknown"),
        ("committed", 1, 2),
    ]


def test_at_its_deadline_an_aborted_request_is_given_up_and_others_are_not() -> None:
    """Nothing of it is published then."""
    producer = ScriptedProducer([None, Transient("moved")], held=threading.Event())
    with running(producer) as ran:
        until(ran.loop.submit(records(b"0"), 10).running)
        late = ran.loop.submit(records(b"1"), 0.01)
        other = ran.loop.submit(records(b"2"), 60)
        assert producer.held is not None
        producer.held.set()
        with pytest.raises(Transient, match="moved"):
            late.result(PATIENCE_SECONDS)
        other.result(PATIENCE_SECONDS)

    assert producer.committed == [[b"0"], [b"2"]]


def test_an_unknown_outcome_is_told_and_what_comes_next_goes_on() -> None:
    """It is not tried again: it may be there already."""
    observer = KeepingObserver()
    producer = ScriptedProducer([OutcomeUnknown("timed out")])
    with running(producer, observer) as ran:
        with pytest.raises(OutcomeUnknown, match="timed out"):
            ran.loop.submit(records(b"1"), 60).result(PATIENCE_SECONDS)
        ran.loop.submit(records(b"2"), 60).result(PATIENCE_SECONDS)

    assert producer.committed == [[b"2"]]
    assert observer.told == [("unknown", 1, 1, "timed out"), ("committed", 1, 1)]


def test_what_ends_the_program_is_told_to_whoever_waits() -> None:
    """Of what was under way nobody knows; of the rest nothing was published; nothing is taken any
    more."""
    producer = ScriptedProducer([Fenced("another uses it")], held=threading.Event())
    with running(producer) as ran:
        first = ran.loop.submit(records(b"1"), 60)
        until(first.running)
        second = ran.loop.submit(records(b"2"), 60)
        assert producer.held is not None
        producer.held.set()
        with pytest.raises(OutcomeUnknown):
            first.result(PATIENCE_SECONDS)
        with pytest.raises(Unavailable) as caught:
            second.result(PATIENCE_SECONDS)
        assert not isinstance(caught.value, OutcomeUnknown)
        assert ran.loop.is_closed
        with pytest.raises(Unavailable, match="stopping"):
            ran.loop.submit(records(b"3"), 60)

    assert isinstance(ran.error, Fenced)
    assert producer.committed == [] and producer.has_left


def test_what_is_withdrawn_in_time_is_not_published() -> None:
    """Nor kept; what is under way cannot be withdrawn."""
    producer = ScriptedProducer(held=threading.Event())
    with running(producer) as ran:
        first = ran.loop.submit(records(b"1"), 60)
        until(first.running)
        second = ran.loop.submit(records(b"2"), 60)
        assert second.cancel() and not first.cancel()
        assert not ran.loop._pending

    assert producer.committed == [[b"1"]]


def test_when_told_to_stop_it_publishes_what_is_there_and_takes_no_more() -> None:
    """And then it ends, without an error."""
    producer = ScriptedProducer(held=threading.Event())
    with running(producer) as ran:
        first = ran.loop.submit(records(b"1"), 60)
        until(first.running)
        second = ran.loop.submit(records(b"2"), 60)

    assert (first.result(0), second.result(0)) == (None, None)
    assert producer.committed == [[b"1"], [b"2"]]
    assert ran.error is None
    with pytest.raises(Unavailable, match="stopping"):
        ran.loop.submit(records(b"3"), 60)


def test_a_transaction_that_takes_long_says_that_the_broker_is_away() -> None:
    """Until it ends, repetitions included."""
    now = [0.0]
    producer = ScriptedProducer(held=threading.Event())
    loop = ReceivingLoop(producer, KeepingObserver(), clock=lambda: now[0])
    ran = Running(loop)
    assert loop.is_available
    waiting = loop.submit(records(b"1"), 60)
    until(waiting.running)
    assert loop.is_available
    now[0] = AWAY_SECONDS
    assert not loop.is_available
    assert producer.held is not None
    producer.held.set()
    waiting.result(PATIENCE_SECONDS)
    until(lambda: loop.is_available)
    ran.stop()


def test_a_broker_that_is_away_and_comes_back_is_waited_for() -> None:
    """Meanwhile it is said to be away; what waits is committed when it is back."""
    with mock_cluster(1) as brokers:
        brokers.create("articles.raw")
        config = Cluster(brokers.bootstrap_servers, {}).producer({"transactional.id": "t"})
        producer = TransactionalProducer(
            lambda on_delivery: make_producer(config | {"on_delivery": on_delivery}),
            lambda: None,
        )
        producer.connect()
        ran = Running(ReceivingLoop(producer, KeepingObserver(), away_seconds=0.3))
        assert ran.loop.submit(records(b"1"), 60).result(PATIENCE_SECONDS) is None
        brokers.set_down(is_down=True)
        waiting = ran.loop.submit(records(b"2"), 60)
        until(lambda: not ran.loop.is_available)
        brokers.set_down(is_down=False)
        assert waiting.result(PATIENCE_SECONDS) is None
        until(lambda: ran.loop.is_available)
        ran.stop()
        assert ran.error is None
