"""Reading the partitions of several topics from given offsets on, whoever else reads them.

For a program that has to see all of them: no group deals them out, so nobody takes any away. Who
may go on with it is decided elsewhere, and so is what offsets are committed. Owner thread only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)

from newsieve.errors import ConsumerFailed, OffsetsWrong, Transient
from newsieve.kafka.config import (
    Cluster,
    Partition,
    make_consumer,
    require_access,
    topic_partition,
)
from newsieve.kafka.message_errors import MessageError, message_error_of
from newsieve.kafka.messages import raw_record
from newsieve.kafka.offset_query import Watermarks
from newsieve.kafka.topic_reader import GROUP, partitions_of
from newsieve.records.decode import RawRecord

POLL_RECORDS: Final = 2_000

_log = logging.getLogger("newsieve.kafka")


class Arrival(NamedTuple):
    """A record and where it stood. None stands for the end of its partition, for now."""

    partition: Partition
    offset: int
    record: RawRecord | None


class AssignedConsumer:
    """A consumer that is told where to read. It may be started again."""

    def __init__(self, cluster: Cluster, topics: Sequence[str]) -> None:
        self._config = cluster.consumer(GROUP, {"enable.partition.eof": True})
        self._topics = topics
        self._consumer: Consumer | None = None
        self.held: frozenset[Partition] = frozenset()
        self._at: dict[Partition, int] = {}

    def partitions(self) -> list[Partition]:
        """Of all topics, in their order. Raises TopicsWrong or BrokerUnavailable."""
        consumer = make_consumer(self._config)
        try:
            return [(topic, n) for topic in self._topics for n in partitions_of(consumer, topic)]
        finally:
            consumer.close()

    def start(self, offsets: Mapping[Partition, int]) -> None:
        """Read from these offsets on."""
        self.close()
        self.held, self._at = frozenset(), dict(offsets)
        self._consumer = make_consumer(self._config)
        self._consumer.assign([TopicPartition(*item, at) for item, at in offsets.items()])

    def poll(self, seconds: float) -> list[Arrival]:
        """What has come, each partition's in order.

        Raises Transient where retention took what was to be read, or for an error that is no known
        one, TopicsWrong or ConsumerFailed.
        """
        if self._consumer is None:
            raise RuntimeError("start first")
        try:
            messages = self._consumer.consume(POLL_RECORDS, seconds)
        except KafkaException as failure:
            raise ConsumerFailed(f"consume: {failure.args[0]}") from None
        found = []
        for message in messages:
            partition = (message.topic(), message.partition())
            error = message.error()
            if error is None:
                self._at[partition] = message.offset() + 1
                found.append(Arrival(partition, message.offset(), raw_record(message)))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                self._at[partition] = message.offset()
                found.append(Arrival(partition, message.offset(), None))
            else:
                self._judge(error, partition)
        return found

    def hold(self, partitions: Collection[Partition]) -> None:
        """Take nothing from these for now, and from all others again."""
        wanted = frozenset(partitions)
        if self._consumer is not None and wanted != self.held:
            self._consumer.pause([topic_partition(item, 0) for item in wanted - self.held])
            self._consumer.resume([topic_partition(item, 0) for item in self.held - wanted])
            self.held = wanted

    def lag(self) -> dict[Partition, int]:
        """Records behind the end of each partition, as far as the client knows."""
        found: dict[Partition, int] = {}
        if self._consumer is None:
            return found
        for partition, at in self._at.items():
            place = topic_partition(partition, OFFSET_INVALID)
            _, high = self._consumer.get_watermark_offsets(place, cached=True)
            if high >= 0:
                found[partition] = max(high - at, 0)
        return found

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    @staticmethod
    def _judge(error: KafkaError, partition: Partition) -> None:
        where, fault = f"{partition[0]}, partition {partition[1]}", message_error_of(error)
        if error.fatal() or fault is MessageError.FATAL:
            raise ConsumerFailed(f"the consumer failed: {error}")
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - its public name
            raise Transient(f"{where}: {error.str()}")
        if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:  # we need no group
            return
        require_access(error)
        if fault is MessageError.UNKNOWN:
            raise Transient(f"{where}: {error}", passes=False, partition=partition)
        _log.warning("inlet.error %s/%d %s", *partition, error)


def starting_offsets(
    extents: Mapping[Partition, Watermarks],
    begins_at_end: Callable[[Partition], bool],
    expired: Callable[[int], None],
) -> dict[Partition, int]:
    """Where to begin: where the group stands; without an offset of its own at a partition's
    beginning, or at its end. `expired` hears of records that retention took in between.

    Raises OffsetsWrong where the group stands beyond the end.
    """
    found = {}
    for partition, (low, high, committed) in extents.items():
        if committed is None:
            found[partition] = high if begins_at_end(partition) else low
        elif committed > high:
            raise OffsetsWrong(
                f"the group's offset {committed} is beyond the end, {high}, of partition "
                f"{partition[1]} of {partition[0]}: it was truncated, or made anew. Set the "
                "group's offset with kafka-consumer-groups.sh --reset-offsets to where reading "
                "should go on, and start again"
            )
        else:
            if committed < low:
                _log.error("records.expired %s/%d: %d", *partition, low - committed)
                expired(low - committed)
            found[partition] = max(committed, low)
    return found
