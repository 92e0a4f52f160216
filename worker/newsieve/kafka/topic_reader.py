"""Reading topics for people and commands: committed records, no group, nothing committed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from newsieve.errors import BrokerUnavailable, TopicsWrong
from newsieve.kafka.config import (
    CALL_SECONDS,
    Cluster,
    Partition,
    make_consumer,
    require_access,
    retry_until_available,
)
from newsieve.kafka.message_errors import MessageError, message_error_of
from newsieve.kafka.messages import raw_record
from newsieve.records.decode import RawRecord

GROUP: Final = "newsieve-reader"  # librdkafka wants a name; the group is never joined
POLL_SECONDS: Final = 0.2
POLL_RECORDS: Final = 500
WAIT_MILLISECONDS: Final = 500  # librdkafka's default
_TOPIC: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")  # what Kafka takes for a name


class Found(NamedTuple):
    """A record and where it stood. A tombstone's value is None."""

    record: RawRecord
    topic: str
    partition: int
    offset: int


class Reader:
    """Follows topics from given offsets on. Close it."""

    def __init__(
        self,
        cluster: Cluster,
        topics: Sequence[str],
        ends: Mapping[Partition, int] | None = None,
        wait_milliseconds: int = WAIT_MILLISECONDS,
    ) -> None:
        """`ends` None: what may be read now. At an end the broker is asked again after
        `wait_milliseconds`. Raises BrokerUnavailable or TopicsWrong."""
        ours = {
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": wait_milliseconds,
        }
        self._consumer = make_consumer(cluster.consumer(GROUP, ours))
        self.ends = (
            {item: end for topic in topics for item, end in self._ends(topic).items()}
            if ends is None
            else dict(ends)
        )
        self.unread = set(self.ends)

    def start(self, offsets: Mapping[Partition, int] | None = None) -> None:
        """Read from these offsets; None means from the beginning."""
        wanted = dict.fromkeys(self.ends, OFFSET_BEGINNING) if offsets is None else offsets
        self._consumer.assign([TopicPartition(*item, at) for item, at in wanted.items()])

    def poll(self, seconds: float = POLL_SECONDS) -> list[Found]:
        """What has come. Partitions read up to what was their end leave `unread`.

        Raises BrokerUnavailable or TopicsWrong.
        """
        found = []
        for message in self._consumer.consume(POLL_RECORDS, seconds):
            error, partition = message.error(), (message.topic(), message.partition())
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                    if message.offset() >= self.ends[partition]:  # else a transaction is undecided
                        self.unread.discard(partition)
                elif error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                    raise TopicsWrong(f"{error.str()}: {partition[0]}. Allow us to READ it")
                elif error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:  # we need no group
                    require_access(error)
                    is_known = message_error_of(error) is not MessageError.UNKNOWN
                    raise BrokerUnavailable(f"{partition[0]}: {error.str()}", passes=is_known)
                continue
            if message.offset() >= self.ends[partition]:
                self.unread.discard(partition)
            found.append(Found(raw_record(message), *partition, message.offset()))
        return found

    def close(self) -> None:
        self._consumer.close()

    def _ends(self, topic: str) -> dict[Partition, int]:
        return {
            (topic, partition): end_of(self._consumer, topic, partition)
            for partition in partitions_of(self._consumer, topic)
        }


def read(cluster: Cluster, topic: str, *, from_beginning: bool, until_end: bool) -> Iterator[Found]:
    """Records of all partitions; `until_end` stops at what was the end when it began.

    Raises BrokerUnavailable or TopicsWrong.
    """
    reader = Reader(cluster, [topic])
    try:
        reader.start(None if from_beginning else reader.ends)
        while reader.unread or not until_end:
            for found in reader.poll():
                if not until_end or found.offset < reader.ends[found.topic, found.partition]:
                    yield found
    finally:
        reader.close()


def record_at(cluster: Cluster, partition: Partition, offset: int) -> RawRecord | None:
    """The one record; None where it is not there any more. Raises as `read`."""
    reader = Reader(cluster, [partition[0]])
    try:
        if offset >= reader.ends.get(partition, 0):
            return None
        reader.start({partition: offset})
        while partition in reader.unread:
            for found in reader.poll():
                return found.record if found.offset == offset else None
        return None
    finally:
        reader.close()


def start_group_at_end(cluster: Cluster, group: str, topic: str) -> None:
    """Let a new group begin with what comes from now on. Raises BrokerUnavailable."""
    consumer = make_consumer(cluster.consumer(group))
    try:
        ends = [
            TopicPartition(topic, partition, end_of(consumer, topic, partition))
            for partition in partitions_of(consumer, topic)
        ]
        retry_until_available(consumer, lambda: consumer.commit(offsets=ends, asynchronous=False))
    finally:
        consumer.close()


def partitions_of(consumer: Consumer, topic: str) -> list[int]:
    """A topic's partitions. Raises TopicsWrong or BrokerUnavailable."""
    if not _TOPIC.fullmatch(topic):
        raise TopicsWrong(f"{topic!r:.80} is not a topic's name")

    def ask() -> Any:
        found = consumer.list_topics(topic, timeout=CALL_SECONDS).topics[topic]
        if found.error is not None and message_error_of(found.error) is MessageError.PASSING:
            raise KafkaException(found.error)
        return found

    found = retry_until_available(consumer, ask)
    if found.error is not None:
        raise TopicsWrong(f"{topic}: {found.error.str()}. `newsieve topics check` lists them")
    return sorted(found.partitions)


def end_of(consumer: Consumer, topic: str, partition: int) -> int:
    """One past the last record that may be read. Raises BrokerUnavailable."""
    return bounds_of(consumer, topic, partition)[1]


def bounds_of(consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
    """The first offset, and one past the last that may be read. Raises BrokerUnavailable."""
    asked = TopicPartition(topic, partition)
    low, high = retry_until_available(
        consumer, lambda: consumer.get_watermark_offsets(asked, timeout=CALL_SECONDS)
    )
    return int(low), int(high)
