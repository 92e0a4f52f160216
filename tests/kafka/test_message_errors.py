"""Whose fault an error is, and when the same one has come often enough."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from newsieve.errors import AccessDenied, BrokerUnavailable, NoProgress, TopicsWrong
from newsieve.kafka import message_errors, offset_query
from newsieve.kafka.config import Cluster
from newsieve.kafka.message_errors import (
    SAME_TIMES,
    MessageError,
    SameAgain,
    message_error_of,
)
from newsieve.kafka.offset_query import OffsetQuery, Watermarks
from newsieve.kafka.timeouts import TIMEOUTS, Timeouts
from tests.support.impatience import limits
from tests.support.mock_cluster import Api, MockCluster, mock_cluster
from tests.support.scripted import Failure, Scene, assigned, nothing, records

PLACE = ("raw", 0)


class Clock:
    """Stands still until it is told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_every_code_has_one_fault_at_most() -> None:
    """A code in two rows would have the fault of the last."""
    names = [name for row in message_errors._CODES.values() for name in row.split()]

    assert len(names) == len(set(names)) == len(message_errors._FAULTS)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (KafkaError.INVALID_TIMESTAMP, MessageError.OUTPUT),
        (KafkaError.INVALID_RECORD, MessageError.OUTPUT),
        (KafkaError.POLICY_VIOLATION, MessageError.OUTPUT),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, MessageError.TOPIC),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, MessageError.ACCESS),
        (KafkaError.SASL_AUTHENTICATION_FAILED, MessageError.IDENTITY),
        (KafkaError.PRODUCER_FENCED, MessageError.FENCED),
        (KafkaError.NOT_LEADER_FOR_PARTITION, MessageError.PASSING),
        (KafkaError._INVALID_DIFFERENT_RECORD, MessageError.PASSING),
        (KafkaError.UNKNOWN, MessageError.UNKNOWN),
        (KafkaError.INVALID_REQUIRED_ACKS, MessageError.UNKNOWN),
        (12_345, MessageError.UNKNOWN),  # of a broker newer than we are
    ],
)
def test_a_code_has_its_fault_and_what_nobody_listed_is_unknown(
    code: int, fault: MessageError
) -> None:
    """Not presumed to pass."""
    assert message_error_of(KafkaError(code, "scripted")) is fault


def test_what_librdkafka_says_of_an_unlisted_code_counts() -> None:
    """Retriable passes; fatal is the client's end."""
    assert message_error_of(KafkaError(12_345, "scripted", retriable=True)) is MessageError.PASSING
    assert message_error_of(KafkaError(12_345, "scripted", fatal=True)) is MessageError.FATAL


def test_the_same_failure_is_stuck_after_so_many_times_and_so_long() -> None:
    """Both: a broker that is ill for some seconds says the same many times. Numbers vary."""
    clock = Clock()
    same = SameAgain(clock)
    for number in range(SAME_TIMES):
        assert not same.is_stuck()
        same.failed(f"request {number} failed", {PLACE: 7})
    assert not same.is_stuck() and same.is_stuck(is_last=True)

    clock.now += TIMEOUTS.same_failure_seconds
    assert same.is_stuck()


@pytest.mark.parametrize("event", ["moves", "passes", "other reason", "commits", "is long past"])
def test_what_moves_on_or_is_something_else_begins_to_count_again(event: str) -> None:
    """As does what failed without a place, once anything is committed."""
    clock = Clock()
    same = SameAgain(clock)
    places = {} if event == "commits" else {PLACE: 7}
    for _ in range(SAME_TIMES):
        same.failed("why", places)
    clock.now += TIMEOUTS.same_failure_seconds if event != "is long past" else 3_600
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
        clock.now += TIMEOUTS.same_failure_seconds / (SAME_TIMES - 1)

    assert same.is_stuck()


def test_a_partition_that_cannot_be_read_ends_the_worker_though_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would wait for ever. It is named, and what was committed of the others holds."""
    monkeypatch.setattr(OffsetQuery, "require_topics", lambda _: None)
    steps = [
        step
        for at in range(3 * message_errors.SAME_TIMES)
        for step in (records((0, at)), nothing, lambda _: [Failure(1, 7)])
    ]
    scene = Scene([assigned(0, 1), *steps])
    scene.commit_seconds = 0

    scene.timeouts = limits(same_failure_seconds=0, backoff_seconds=0)
    with pytest.raises(NoProgress, match=r"articles\.raw/1 from offset 0") as raised:
        scene.run(monkeypatch)

    assert "articles.raw/0" not in str(raised.value)
    assert scene.observer.faults == [*["unknown"] * message_errors.SAME_TIMES, "permanent"]
    assert scene.ledger.offsets == {0: message_errors.SAME_TIMES}
    scene.ledger.assert_exactly_once()


def query_of(cluster: MockCluster, timeouts: Timeouts = TIMEOUTS) -> OffsetQuery:
    config = Cluster(cluster.bootstrap_servers, {}).consumer("g")
    return OffsetQuery(config, [PLACE[0]], lambda: None, timeouts)


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

        assert query_of(cluster).watermarks([PLACE]) == {PLACE: Watermarks(0, 0, None)}


def test_a_broker_that_goes_on_refusing_is_for_the_loop_to_wait_for() -> None:
    """It looks around, whether it was told to stop, and asks again; an error that nobody has listed
    is no passing one."""
    with mock_cluster() as cluster:
        cluster.create(PLACE[0])
        for code, passes in ((KafkaError.NOT_COORDINATOR, True), (KafkaError.UNKNOWN, False)):
            cluster.fail(Api.OFFSET_FETCH, [code] * 100)
            with pytest.raises(BrokerUnavailable, match="does not say what is committed") as raised:
                query_of(cluster, limits(query_patience_seconds=0.1)).committed([PLACE])
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
    monkeypatch.setattr(offset_query, "make_consumer", lambda _: Distrusted(answers))
    asking = OffsetQuery({}, [], lambda: None)

    assert [asking.committed([PLACE]) for _ in range(2)] == [{PLACE: 7}] * 2
    with pytest.raises(AccessDenied, match="TLS or SASL"):
        asking.committed([PLACE])


def test_a_right_that_is_missing_is_said_at_once() -> None:
    """Asking again would not help."""
    with mock_cluster() as cluster:
        cluster.create(PLACE[0])
        cluster.fail(Api.OFFSET_FETCH, [KafkaError.GROUP_AUTHORIZATION_FAILED])

        with pytest.raises(TopicsWrong, match="newsieve doctor"):
            query_of(cluster).committed([PLACE])
