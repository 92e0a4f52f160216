"""Whose fault an error is, and when the same one has come often enough."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from tests.support.mock_cluster import Api, MockCluster, mock_cluster
from tests.support.scripted import Failure, Scene, assigned, nothing, records
from worker import delivery
from worker.errors import AccessDenied, BrokerUnavailable, NoProgress, TopicsWrong
from worker.kafka import faults, inquiry
from worker.kafka.client import Cluster
from worker.kafka.faults import SAME_SECONDS, SAME_TIMES, Fault, SameAgain, fault_of
from worker.kafka.inquiry import Extent, Inquiry

PLACE = ("raw", 0)


class Clock:
    """Stands still until it is told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_every_code_has_one_fault_at_most() -> None:
    """A code in two rows would have the fault of the last."""
    names = [name for row in faults._CODES.values() for name in row.split()]

    assert len(names) == len(set(names)) == len(faults._FAULTS)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (KafkaError.INVALID_TIMESTAMP, Fault.OUTPUT),
        (KafkaError.INVALID_RECORD, Fault.OUTPUT),
        (KafkaError.POLICY_VIOLATION, Fault.OUTPUT),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, Fault.TOPIC),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, Fault.ACCESS),
        (KafkaError.SASL_AUTHENTICATION_FAILED, Fault.IDENTITY),
        (KafkaError.PRODUCER_FENCED, Fault.FENCED),
        (KafkaError.NOT_LEADER_FOR_PARTITION, Fault.PASSING),
        (KafkaError._INVALID_DIFFERENT_RECORD, Fault.PASSING),
        (KafkaError.UNKNOWN, Fault.UNKNOWN),
        (KafkaError.INVALID_REQUIRED_ACKS, Fault.UNKNOWN),
        (12_345, Fault.UNKNOWN),  # of a broker newer than we are
    ],
)
def test_a_code_has_its_fault_and_what_nobody_listed_is_unknown(code: int, fault: Fault) -> None:
    """Not presumed to pass."""
    assert fault_of(KafkaError(code, "scripted")) is fault


def test_what_librdkafka_says_of_an_unlisted_code_counts() -> None:
    """Retriable passes; fatal is the client's end."""
    assert fault_of(KafkaError(12_345, "scripted", retriable=True)) is Fault.PASSING
    assert fault_of(KafkaError(12_345, "scripted", fatal=True)) is Fault.FATAL


def test_the_same_failure_is_stuck_after_so_many_times_and_so_long() -> None:
    """Both: a broker that is ill for some seconds says the same many times. Numbers vary."""
    clock = Clock()
    same = SameAgain(clock)
    for number in range(SAME_TIMES):
        assert not same.is_stuck()
        same.failed(f"request {number} failed", {PLACE: 7})
    assert not same.is_stuck() and same.is_stuck(is_last=True)

    clock.now += SAME_SECONDS
    assert same.is_stuck()


@pytest.mark.parametrize("event", ["moves", "passes", "other reason", "commits", "is long past"])
def test_what_moves_on_or_is_something_else_begins_to_count_again(event: str) -> None:
    """As does what failed without a place, once anything is committed."""
    clock = Clock()
    same = SameAgain(clock)
    places = {} if event == "commits" else {PLACE: 7}
    for _ in range(SAME_TIMES):
        same.failed("why", places)
    clock.now += SAME_SECONDS if event != "is long past" else 3_600
    if event == "passes":
        same.passed()
    if event == "commits":
        same.committed()
    same.failed(
        "another" if event == "other reason" else "why",
        {PLACE: 8} if event == "moves" else places,
    )

    assert not same.is_stuck(is_last=True)


def test_a_partition_that_is_stuck_counts_though_others_move_on() -> None:
    """And though another reason comes in between."""
    clock = Clock()
    same = SameAgain(clock)
    for number in range(SAME_TIMES):
        same.failed("another", {PLACE: 7})
        same.failed("why", {PLACE: 7, ("raw", 1): number})
        same.committed()
        clock.now += SAME_SECONDS / (SAME_TIMES - 1)

    assert same.is_stuck()


def test_a_partition_that_cannot_be_read_ends_the_worker_though_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would wait for ever. It is named, and what was committed of the others holds."""
    monkeypatch.setattr(faults, "SAME_SECONDS", 0)
    monkeypatch.setattr(delivery, "BACKOFF_SECONDS", 0)
    monkeypatch.setattr(Inquiry, "require_topics", lambda _: None)
    steps = [
        step
        for at in range(3 * faults.SAME_TIMES)
        for step in (records((0, at)), nothing, lambda _: [Failure(1, 7)])
    ]
    scene = Scene([assigned(0, 1), *steps])
    scene.commit_seconds = 0

    with pytest.raises(NoProgress, match=r"articles\.raw/1 from offset 0") as raised:
        scene.run(monkeypatch)

    assert "articles.raw/0" not in str(raised.value)
    assert scene.observer.faults == [*["unknown"] * faults.SAME_TIMES, "permanent"]
    assert scene.ledger.offsets == {0: faults.SAME_TIMES}
    scene.ledger.assert_exactly_once()


def inquiry_of(cluster: MockCluster) -> Inquiry:
    config = Cluster(cluster.bootstrap_servers, {}).consumer("g")
    return Inquiry(config, [PLACE[0]], lambda: None)


@pytest.mark.parametrize(
    ("api", "code"),
    [
        (Api.LIST_OFFSETS, KafkaError.NOT_LEADER_FOR_PARTITION),
        (Api.OFFSET_FETCH, KafkaError.NOT_COORDINATOR),
    ],
)
def test_a_broker_that_refuses_for_a_moment_is_asked_again(api: Api, code: int) -> None:
    """After a stall it does so at once, many times a second: that is no reason to end."""
    with mock_cluster() as cluster:
        cluster.create(PLACE[0])
        cluster.fail(api, [code] * 12)

        assert inquiry_of(cluster).extents([PLACE]) == {PLACE: Extent(0, 0, None)}


def test_a_broker_that_goes_on_refusing_is_for_the_loop_to_wait_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It looks around, whether it was told to stop, and asks again; an error that nobody has listed
    is no passing one."""
    monkeypatch.setattr(inquiry, "PATIENCE_SECONDS", 0.1)
    with mock_cluster() as cluster:
        cluster.create(PLACE[0])
        for code, passes in ((KafkaError.NOT_COORDINATOR, True), (KafkaError.UNKNOWN, False)):
            cluster.fail(Api.OFFSET_FETCH, [code] * 100)
            with pytest.raises(BrokerUnavailable, match="does not say what is committed") as raised:
                inquiry_of(cluster).committed([PLACE])
            assert raised.value.passes is passes
            cluster.clear()


class Distrusted:
    """A client that the broker turns away, and, where it may, answers in the end."""

    def __init__(self, answers: Iterator[bool]) -> None:
        self._answers = answers
        self.complaints = [KafkaError(KafkaError._SSL, "handshake failed: Disconnected")]

    def committed(self, wanted: list[TopicPartition], **_: float) -> list[TopicPartition]:
        if next(self._answers):
            return [TopicPartition(item.topic, item.partition, 7) for item in wanted]
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "scripted"))

    def poll(self, _: float) -> None: ...

    def close(self) -> None: ...


def test_a_broker_that_does_not_trust_us_once_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that ends in the middle of a handshake looks so. The second time in a row it is one."""
    answers = iter((False, True, False, True, False, False))
    monkeypatch.setattr(inquiry, "make_consumer", lambda _: Distrusted(answers))
    asking = Inquiry({}, [], lambda: None)

    assert [asking.committed([PLACE]) for _ in range(2)] == [{PLACE: 7}] * 2
    with pytest.raises(AccessDenied, match="do not trust each other"):
        asking.committed([PLACE])


def test_a_right_that_is_missing_is_said_at_once() -> None:
    """Asking again would not help."""
    with mock_cluster() as cluster:
        cluster.create(PLACE[0])
        cluster.fail(Api.OFFSET_FETCH, [KafkaError.GROUP_AUTHORIZATION_FAILED])

        with pytest.raises(TopicsWrong, match="newsieve doctor"):
            inquiry_of(cluster).committed([PLACE])
