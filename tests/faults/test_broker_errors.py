"""What a worker makes of a broker's error codes, one by one, on librdkafka's mock cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaError

from newsieve.errors import (
    Fenced,
    NewsieveError,
    OutcomeUnknown,
    TimestampRefused,
    TopicsWrong,
    Transient,
)
from newsieve.kafka.config import Cluster, make_producer
from newsieve.kafka.timeouts import TIMEOUTS, Timeouts
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.records.encode import OutRecord
from tests.support.impatience import limits
from tests.support.mock_cluster import Api, MockCluster, mock_cluster
from tests.support.topics import unique_prefix

TRIES = 3


@pytest.fixture(scope="module")
def brokers() -> Iterator[MockCluster]:
    with mock_cluster() as made:
        made.create("raw")
        made.create("scored")
        yield made


@pytest.fixture
def cluster(brokers: MockCluster) -> Iterator[MockCluster]:
    yield brokers
    brokers.clear()


class Publishing:
    """The product's publisher, connected to a mock cluster."""

    def __init__(self, cluster: MockCluster, timeouts: Timeouts = TIMEOUTS) -> None:
        self.slot = unique_prefix()
        config = Cluster(cluster.bootstrap_servers, {}).producer({"transactional.id": self.slot})
        self.publisher = TransactionalProducer(
            lambda on_delivery: make_producer(config | {"on_delivery": on_delivery}),
            lambda: None,
            timeouts=timeouts,
        )
        member = Consumer({"bootstrap.servers": cluster.bootstrap_servers, "group.id": "g"})
        self._metadata = member.consumer_group_metadata()
        member.close()

    def transact(self) -> None:
        """One record and its offset."""
        self.publisher.produce(OutRecord("scored", b"key", b"{}", []))
        self.publisher.commit({("raw", 0): 1}, self._metadata)

    def transact_at_last(self) -> None:
        """As a worker goes on: a hole in the sequence numbers costs another abort."""
        for _ in range(TRIES):
            with contextlib.suppress(Transient):
                self.transact()
                return
        pytest.fail(f"no transaction in {TRIES} tries")


OVERCOME = [
    (Api.PRODUCE, KafkaError.KAFKA_STORAGE_ERROR),
    (Api.PRODUCE, KafkaError.NOT_LEADER_FOR_PARTITION),
    (Api.PRODUCE, KafkaError.NOT_ENOUGH_REPLICAS),
    (Api.INIT_PRODUCER_ID, KafkaError.COORDINATOR_LOAD_IN_PROGRESS),
    (Api.ADD_PARTITIONS_TO_TXN, KafkaError.CONCURRENT_TRANSACTIONS),
    (Api.ADD_PARTITIONS_TO_TXN, KafkaError.COORDINATOR_NOT_AVAILABLE),
    (Api.ADD_OFFSETS_TO_TXN, KafkaError.NOT_COORDINATOR),
    (Api.TXN_OFFSET_COMMIT, KafkaError.COORDINATOR_LOAD_IN_PROGRESS),
    (Api.END_TXN, KafkaError.COORDINATOR_NOT_AVAILABLE),
]


@pytest.mark.parametrize(("api", "code"), OVERCOME)
def test_what_passes_is_waited_for(cluster: MockCluster, api: Api, code: int) -> None:
    """librdkafka tries again, and the transaction is committed."""
    publishing = Publishing(cluster)
    cluster.fail(api, [code] * 2)

    publishing.publisher.connect()
    publishing.transact()


ENDS: list[tuple[Api, int, type[NewsieveError]]] = [
    (Api.INIT_PRODUCER_ID, KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, TopicsWrong),
    (Api.PRODUCE, KafkaError.TOPIC_AUTHORIZATION_FAILED, TopicsWrong),
    (Api.PRODUCE, KafkaError.INVALID_RECORD, TopicsWrong),
    (Api.PRODUCE, KafkaError.POLICY_VIOLATION, TopicsWrong),
    (Api.PRODUCE, KafkaError.INVALID_TIMESTAMP, TimestampRefused),
    (Api.PRODUCE, KafkaError.INVALID_REQUIRED_ACKS, Transient),
    (Api.TXN_OFFSET_COMMIT, KafkaError.ILLEGAL_GENERATION, Transient),
    (Api.TXN_OFFSET_COMMIT, KafkaError.UNKNOWN_MEMBER_ID, Transient),
    (Api.TXN_OFFSET_COMMIT, KafkaError.GROUP_AUTHORIZATION_FAILED, TopicsWrong),
    (Api.ADD_OFFSETS_TO_TXN, KafkaError.INVALID_PRODUCER_EPOCH, Fenced),
    (Api.END_TXN, KafkaError.INVALID_PRODUCER_EPOCH, Fenced),
    (Api.END_TXN, KafkaError.PRODUCER_FENCED, Fenced),
]


@pytest.mark.parametrize(("api", "code", "outcome"), ENDS)
def test_what_does_not_pass_has_its_end(
    cluster: MockCluster, api: Api, code: int, outcome: type[NewsieveError]
) -> None:
    """Back to the records, or out of the process: never on as if nothing had been."""
    publishing = Publishing(cluster)
    cluster.fail(api, [code])

    def run() -> None:
        publishing.publisher.connect()
        publishing.transact()

    with pytest.raises(outcome):
        run()
    if outcome is Transient:
        publishing.transact_at_last()


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(KafkaError.INVALID_RECORD, TopicsWrong), (KafkaError.INVALID_REQUIRED_ACKS, Transient)],
)
def test_a_failure_in_the_background_is_said_by_its_reason(
    cluster: MockCluster, code: int, outcome: type[NewsieveError]
) -> None:
    """The next call says no more than that something has failed. What nobody has listed is not
    taken to pass."""
    publishing = Publishing(cluster)
    publishing.publisher.connect()
    cluster.fail(Api.PRODUCE, [code])
    publishing.publisher.produce(OutRecord("scored", b"key", b"{}", []))
    producer = publishing.publisher._producer
    assert producer is not None
    producer.flush(10)

    with pytest.raises(outcome, match=KafkaError(code).str()) as raised:
        publishing.publisher.produce(OutRecord("scored", b"key", b"{}", []))
    assert not isinstance(raised.value, Transient) or not raised.value.passes
    if outcome is Transient:
        publishing.transact_at_last()


def test_a_coordinator_that_moves_is_followed(cluster: MockCluster) -> None:
    """Between two transactions, and without losing either."""
    publishing = Publishing(cluster)
    cluster.move_coordinator(publishing.slot, 1)
    publishing.publisher.connect()
    publishing.transact()

    cluster.move_coordinator(publishing.slot, 2)
    cluster.fail(Api.ADD_PARTITIONS_TO_TXN, [KafkaError.NOT_COORDINATOR])
    publishing.transact()


def test_a_commit_of_unknown_outcome_is_never_tried_again(
    cluster: MockCluster,
) -> None:
    """Arriving late, the first try could commit half of the next transaction."""
    publishing = Publishing(cluster, limits(operation_seconds=0.8))
    publishing.publisher.connect()
    publishing.transact()
    cluster.track()
    cluster.delay(Api.END_TXN, 1_200)

    with pytest.raises(OutcomeUnknown):
        publishing.transact()

    assert cluster.requests(Api.END_TXN) == 1
    publishing.transact()
