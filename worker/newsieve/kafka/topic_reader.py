"""Reads topics for people and commands: committed records only, without a group.

It commits nothing, so reading has no effect on anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from newsieve.deadline import Deadline
from newsieve.errors import BrokerUnavailable, ConsumerFailed, TopicsWrong
from newsieve.kafka.config import Cluster, Partition, make_consumer, topic_partition
from newsieve.kafka.message_errors import MessageError, fault_of_message, message_error_of
from newsieve.kafka.messages import ConsumedRecord, StoredRecord, raw_record
from newsieve.kafka.retry import retry_until_available
from newsieve.kafka.timeouts import TIMEOUTS, Timeouts
from newsieve.records.decode import RawRecord

GROUP: Final = "newsieve-reader"  # librdkafka wants a name; the group is never joined
POLL_SECONDS: Final = 0.2
POLL_RECORDS: Final = 500
WAIT_MILLISECONDS: Final = 500  # librdkafka's default
_TOPIC: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")  # what Kafka takes for a name


class Reader:
    """Reads topics from given offsets on, without a group. Close it."""

    def __init__(
        self,
        cluster: Cluster,
        topics: Sequence[str],
        ends: Mapping[Partition, int] | None = None,
        wait_milliseconds: int = WAIT_MILLISECONDS,
    ) -> None:
        """Make a reader up to these `ends`, by default the present ones. At an end the broker is
        asked again after `wait_milliseconds`. Raises BrokerUnavailable or TopicsWrong."""
        ours = {
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": wait_milliseconds,
        }
        self._timeouts = cluster.timeouts
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
        self._consumer.assign([topic_partition(*item) for item in wanted.items()])

    def poll(self, seconds: float = POLL_SECONDS) -> list[StoredRecord]:
        """The records that have come. Partitions read up to what was their end leave `unread`.

        Raises BrokerUnavailable, TopicsWrong or ConsumerFailed.
        """
        records: list[StoredRecord] = []
        for message in self._consumer.consume(POLL_RECORDS, seconds):
            error, partition = message.error(), (message.topic(), message.partition())
            if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                _raise_failure(error, partition[0])
                continue
            if message.offset() >= self.ends[partition]:  # or a transaction is undecided
                self.unread.discard(partition)
            if error is None:
                records.append(ConsumedRecord(raw_record(message), partition, message.offset()))
        return records

    def close(self) -> None:
        """Close the client and its connections."""
        self._consumer.close()

    def _ends(self, topic: str) -> dict[Partition, int]:
        return {
            (topic, partition): end_of(self._consumer, topic, partition, self._timeouts)
            for partition in partitions_of(self._consumer, topic, self._timeouts)
        }


def read(
    cluster: Cluster, topic: str, *, from_beginning: bool, until_end: bool
) -> Iterator[StoredRecord]:
    """Read the records of all partitions; `until_end` stops at what was the end when it began.

    Raises BrokerUnavailable, TopicsWrong or ConsumerFailed.
    """
    reader = Reader(cluster, [topic])
    try:
        reader.start(None if from_beginning else reader.ends)
        while reader.unread or not until_end:
            for item in reader.poll():
                if not until_end or item.offset < reader.ends[item.partition]:
                    yield item
    finally:
        reader.close()


def record_at(cluster: Cluster, partition: Partition, offset: int) -> RawRecord | None:
    """The record at an offset; None where it is not there any more. Raises as `read`."""
    reader = Reader(cluster, [partition[0]])
    try:
        if offset >= reader.ends.get(partition, 0):
            return None
        reader.start({partition: offset})
        while partition in reader.unread:
            for item in reader.poll():
                return item.record if item.offset == offset else None
        return None
    finally:
        reader.close()


def newest_records(cluster: Cluster, topic: str, count: int, seconds: float) -> list[RawRecord]:
    """Up to about `count` of a topic's newest records, an equal part of each partition; fewer
    where they do not come in so many seconds. Raises as `read`."""
    reader = Reader(cluster, [topic])
    deadline = Deadline(seconds)
    newest: list[RawRecord] = []
    try:
        part = max(count // max(len(reader.ends), 1), 1)
        reader.start({item: max(end - part, 0) for item, end in reader.ends.items()})
        while reader.unread and not deadline.is_over:
            newest += [item.record for item in reader.poll()]
    finally:
        reader.close()
    return newest


def start_group_at_end(cluster: Cluster, group: str, topic: str) -> None:
    """Let a new group begin with what comes from now on. Raises BrokerUnavailable."""
    timeouts = cluster.timeouts
    consumer = make_consumer(cluster.consumer(group))
    try:
        ends = [
            TopicPartition(topic, partition, end_of(consumer, topic, partition, timeouts))
            for partition in partitions_of(consumer, topic, timeouts)
        ]
        retry_until_available(
            consumer, lambda: consumer.commit(offsets=ends, asynchronous=False), timeouts
        )
    finally:
        consumer.close()


def partitions_of(consumer: Consumer, topic: str, timeouts: Timeouts = TIMEOUTS) -> list[int]:
    """The numbers of a topic's partitions. Raises TopicsWrong or BrokerUnavailable."""
    if not _TOPIC.fullmatch(topic):
        raise TopicsWrong(f"{topic!r:.80} is not a topic's name")

    def ask() -> Any:
        metadata = consumer.list_topics(topic, timeout=timeouts.call_seconds).topics[topic]
        error = metadata.error
        if error is not None and message_error_of(error) is MessageError.PASSING:
            raise KafkaException(error)
        return metadata

    metadata = retry_until_available(consumer, ask, timeouts)
    if metadata.error is not None:
        raise TopicsWrong(f"{topic}: {metadata.error.str()}. `newsieve topics check` lists them")
    return sorted(metadata.partitions)


def end_of(consumer: Consumer, topic: str, partition: int, timeouts: Timeouts = TIMEOUTS) -> int:
    """The offset behind the last record that may be read. Raises BrokerUnavailable."""
    return bounds_of(consumer, topic, partition, timeouts)[1]


def bounds_of(
    consumer: Consumer, topic: str, partition: int, timeouts: Timeouts = TIMEOUTS
) -> tuple[int, int]:
    """The first offset, and the one behind the last record that may be read. Raises
    BrokerUnavailable."""
    asked = TopicPartition(topic, partition)
    low, high = retry_until_available(
        consumer,
        lambda: consumer.get_watermark_offsets(asked, timeout=timeouts.call_seconds),
        timeouts,
    )
    return int(low), int(high)


def _raise_failure(error: KafkaError, topic: str) -> None:
    """Raise what the error of a topic means for a reader, who needs no right on a group."""
    if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
        raise TopicsWrong(f"{error.str()}: {topic}. Allow us to READ it")
    try:
        fault = fault_of_message(error, is_member=False)
    except ConsumerFailed as failure:  # the next reader has a client of its own
        raise BrokerUnavailable(f"{topic}: {failure}") from None
    if fault is not None:
        is_known = fault is not MessageError.UNKNOWN
        raise BrokerUnavailable(f"{topic}: {error.str()}", passes=is_known)
