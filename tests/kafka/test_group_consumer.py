"""Where a worker goes on when its offset leads nowhere, or its membership is gone. Real broker."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from newsieve.devbroker.broker import Broker
from newsieve.errors import BrokerUnavailable, ConsumerFailed, OffsetsWrong, TopicsWrong, Transient
from newsieve.kafka.config import Cluster, Partition, make_producer
from newsieve.kafka.group_consumer import RENEWALS_PER_MINUTE, GroupConsumer
from newsieve.kafka.messages import GroupRecord
from newsieve.kafka.offset_query import OffsetQuery, Watermarks
from newsieve.kafka.timeouts import TIMEOUTS, Timeouts
from newsieve.kafka.transactional_producer import TransactionalProducer
from tests.support.impatience import limits

PARTITIONS = 2
RECORDS = 100  # in each partition
TAKE_SECONDS = 20


class Unworried:
    """A listener with nothing in flight."""

    losses = 0

    def before_revoke(self, partitions: Sequence[Partition]) -> None: ...

    def after_loss(self) -> None:
        self.losses += 1


@dataclass
class Topic:
    """A raw topic with records, and a group that reads it."""

    servers: str
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    expired: list[int] = field(default_factory=list)
    listener: Unworried = field(default_factory=Unworried)

    def __post_init__(self) -> None:
        self.admin = AdminClient({"bootstrap.servers": self.servers})
        self.create()

    def create(self) -> None:
        for made in self.admin.create_topics([NewTopic(self.name, PARTITIONS, 1)]).values():
            made.result(20)

    def fill(self) -> None:
        producer = Producer({"bootstrap.servers": self.servers})
        for number in range(RECORDS * PARTITIONS):
            producer.produce(self.name, b"{}", partition=number % PARTITIONS)
        assert producer.flush(20) == 0

    def commit(self, *offsets: int) -> None:
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": self.name})
        places = [TopicPartition(self.name, p, offset) for p, offset in enumerate(offsets)]
        consumer.commit(offsets=places, asynchronous=False)
        consumer.close()

    def expire(self, *offsets: int) -> None:
        """What retention does."""
        places = [TopicPartition(self.name, p, offset) for p, offset in enumerate(offsets)]
        for done in self.admin.delete_records(places).values():
            done.result(20)

    def consumer(
        self, ours: dict[str, Any] | None = None, timeouts: Timeouts = TIMEOUTS
    ) -> GroupConsumer:
        config = Cluster(self.servers, self.options).consumer(self.name, ours)
        query = OffsetQuery(config, [self.name], lambda: None, timeouts)
        consumer = GroupConsumer(config, self.name, query, self.expired.append, timeouts=timeouts)
        consumer.subscribe(self.listener)
        return consumer

    def take(self, count: int) -> dict[int, list[int]]:
        """The offsets of the next records, by partition."""
        consumer = self.consumer()
        deadline = time.monotonic() + TAKE_SECONDS
        taken: list[GroupRecord] = []
        try:
            while len(taken) < count:
                assert time.monotonic() < deadline, f"only {len(taken)} of {count}"
                taken += consumer.poll(500, 0.1)
        finally:
            consumer.close()
        return {p: [t.offset for t in taken if t.partition[1] == p] for p in range(PARTITIONS)}


@pytest.fixture
def topic(broker: Broker, prefix: str) -> Iterator[Topic]:
    made = Topic(broker.bootstrap_servers, prefix)
    made.fill()
    yield made
    made.admin.delete_topics([made.name])


@pytest.mark.parametrize(
    "options",
    [{}, {"group.protocol": "consumer"}, {"partition.assignment.strategy": "range"}],
    ids=["cooperative", "KIP-848", "eager"],
)
def test_a_new_group_begins_at_the_beginning(topic: Topic, options: dict[str, Any]) -> None:
    """Whatever its protocol."""
    topic.options = options

    assert topic.take(2 * RECORDS) == {0: list(range(RECORDS)), 1: list(range(RECORDS))}
    assert topic.expired == []


def test_what_retention_took_is_counted_and_the_rest_goes_on(topic: Topic) -> None:
    """Those records are lost, and somebody has to hear of it; no others are."""
    topic.commit(10, 90)
    topic.expire(50, 50)

    assert topic.take(60) == {0: list(range(50, 100)), 1: list(range(90, 100))}
    assert topic.expired == [40]


def test_a_broker_that_does_not_say_where_to_begin_is_asked_again(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """librdkafka says once that there is no offset; forgotten, the partition would stand still."""
    watermarks, silent = OffsetQuery.watermarks, iter((True, True, False))

    def once_silent(
        offset_query: OffsetQuery, partitions: Sequence[Partition]
    ) -> dict[Partition, Watermarks]:
        if next(silent, False):
            raise BrokerUnavailable("scripted")
        return watermarks(offset_query, partitions)

    monkeypatch.setattr(OffsetQuery, "watermarks", once_silent)
    consumer = topic.consumer()
    taken, silences = 0, 0
    deadline = time.monotonic() + TAKE_SECONDS
    while taken < PARTITIONS * RECORDS:
        assert time.monotonic() < deadline
        try:
            taken += len(consumer.poll(500, 0.1))
        except BrokerUnavailable:
            silences += 1
            consumer.rewind()
    consumer.close()

    assert silences == 2


def test_an_offset_beyond_the_end_stops_before_anything_is_scored_twice(topic: Topic) -> None:
    """The topic was truncated, or is another one: beginning again would double its records."""
    topic.commit(RECORDS + 400, RECORDS)

    with pytest.raises(OffsetsWrong, match=r"offset 500 is beyond the end, 100, of partition 0"):
        topic.take(1)


def test_a_topic_that_is_made_anew_is_read_from_its_beginning(topic: Topic) -> None:
    """Kafka forgets a group's offsets with their topic."""
    topic.commit(RECORDS, RECORDS)
    topic.admin.delete_topics([topic.name])[topic.name].result(20)
    while topic.name in topic.admin.list_topics(timeout=10).topics:
        time.sleep(0.05)
    topic.create()
    topic.fill()

    assert topic.take(2 * RECORDS) == {0: list(range(RECORDS)), 1: list(range(RECORDS))}


def test_a_topic_that_is_gone_is_noticed(topic: Topic) -> None:
    """librdkafka says nothing: a worker would be alive and idle for ever."""
    consumer = topic.consumer(timeouts=limits(silence_seconds=0.2))
    while not consumer.poll(500, 0.1):
        pass
    topic.admin.delete_topics([topic.name])[topic.name].result(20)

    def go_on() -> None:
        for _ in range(200):
            consumer.poll(500, 0.1)

    with pytest.raises(TopicsWrong, match=f"topics are gone: {topic.name}"):
        go_on()
    consumer.close()


@pytest.mark.parametrize(
    "options", [{}, {"group.protocol": "consumer"}], ids=["cooperative", "KIP-848"]
)
def test_a_member_without_partitions_is_one_too(topic: Topic, options: dict[str, Any]) -> None:
    """It waits for its turn; joining again and again would disturb the others."""
    topic.options = options
    members = [topic.consumer() for _ in range(PARTITIONS + 1)]
    deadline = time.monotonic() + TAKE_SECONDS
    while not all(member.is_member for member in members):
        assert time.monotonic() < deadline
        for member in members:
            member.poll(500, 0.05)
    while sum(len(member.offsets) for member in members) != PARTITIONS:
        assert time.monotonic() < deadline
        for member in members:
            member.poll(500, 0.05)
    for member in members:
        member.close()


def test_a_consumer_that_is_out_of_its_group_for_long_joins_again(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a broker's fault some never do so by themselves: alive, and idle."""
    consumer = topic.consumer()
    while not consumer.poll(500, 0.1):
        pass
    former = consumer._consumer
    consumer._timeouts = limits(outside_seconds=0.2)
    consumer._lose(consumer.offsets.owned())
    monkeypatch.setattr(former, "consume", lambda *_: [], raising=False)
    real = consumer.group_metadata
    monkeypatch.setattr(
        consumer, "group_metadata", lambda: None if consumer._consumer is former else real()
    )

    deadline = time.monotonic() + TAKE_SECONDS
    while not consumer.poll(500, 0.1):
        assert time.monotonic() < deadline
    assert consumer._consumer is not former
    consumer.close()


def test_a_member_that_was_fenced_for_nothing_joins_again(topic: Topic) -> None:
    """As static members are after a broker's kill -9. What it had in flight is void."""
    static = {"group.instance.id": "a"}
    consumer = topic.consumer(static)
    while not consumer.poll(500, 0.1):
        pass
    double = Consumer(Cluster(topic.servers, {}).consumer(topic.name, static))
    double.subscribe([topic.name])
    while not double.assignment():
        double.poll(0.1)

    while not topic.listener.losses:
        consumer.poll(500, 0.1)
    double.close()
    while not (taken := consumer.poll(500, 0.1)):
        pass

    assert consumer.is_member and taken[0].offset == 0
    consumer.close()


def test_a_member_that_is_fenced_again_and_again_ends(topic: Topic) -> None:
    """Something is wrong that a new member does not mend."""
    consumer = topic.consumer()
    failing = 0

    def fail(*_: object) -> None:
        nonlocal failing
        failing += 1
        raise KafkaException(KafkaError(KafkaError._FATAL, "scripted"))

    def go_on() -> None:
        while True:
            consumer._consumer = SimpleNamespace(consume=fail, close=lambda: None)
            consumer.poll(500, 0.1)

    with pytest.raises(ConsumerFailed, match="scripted"):
        go_on()
    assert failing == RENEWALS_PER_MINUTE + 1


def test_offsets_of_a_former_member_are_refused(topic: Topic) -> None:
    """A worker that was away does not know yet that it is none: the broker does."""
    consumer = topic.consumer()
    while not consumer.poll(500, 0.1):
        pass
    config = Cluster(topic.servers, {}).producer({"transactional.id": topic.name})
    publisher = TransactionalProducer(
        lambda on_delivery: make_producer(config | {"on_delivery": on_delivery}), lambda: None
    )
    publisher.connect()
    metadata = consumer.group_metadata()
    assert metadata is not None
    consumer.close()

    with pytest.raises(Transient):
        publisher.commit({(topic.name, 0): 5}, metadata)
    assert OffsetQuery(consumer._config, [], lambda: None).committed([(topic.name, 0)]) == {}
