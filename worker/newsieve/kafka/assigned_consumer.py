"""Reads the partitions of several topics from given offsets on, whoever else reads them.

It is for a program that has to see all partitions: no group assigns them, so nobody takes any away.
Which process does so, and which offsets are committed, is decided elsewhere. Owner thread only.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException

from newsieve.errors import ConsumerFailed, Transient
from newsieve.kafka.assignment import PausedPartitions, records_behind
from newsieve.kafka.config import Cluster, Partition, make_consumer, topic_partition
from newsieve.kafka.message_errors import MessageError, fault_of_message, unlisted_failure
from newsieve.kafka.messages import ConsumedRecord, GroupRecord, raw_record
from newsieve.kafka.topic_reader import GROUP, bounds_of, partitions_of

POLL_RECORDS: Final = 2_000

_log = logging.getLogger("newsieve.kafka")


class AssignedConsumer:
    """A consumer that reads the partitions it is told to. It may be started again."""

    def __init__(
        self, cluster: Cluster, topics: Sequence[str], poll_records: int = POLL_RECORDS
    ) -> None:
        """`poll_records` is how many records a poll gives at most."""
        self._config = cluster.consumer(GROUP, {"enable.partition.eof": True})
        self._timeouts = cluster.timeouts
        self._topics = topics
        self._poll_records = poll_records
        self._consumer: Consumer | None = None
        self._paused = PausedPartitions()
        self._positions: dict[Partition, int] = {}

    @property
    def held(self) -> frozenset[Partition]:
        """The partitions that nothing is taken from for now."""
        return self._paused.partitions

    def partitions(self) -> list[Partition]:
        """The partitions of all topics, in the topics' order. Raises TopicsWrong or
        BrokerUnavailable."""
        consumer = make_consumer(self._config)
        try:
            return [
                (topic, number)
                for topic in self._topics
                for number in partitions_of(consumer, topic, self._timeouts)
            ]
        finally:
            consumer.close()

    def bounds(self) -> dict[Partition, tuple[int, int]]:
        """The first offset of each partition of all topics, and the one behind its last record.
        Raises TopicsWrong or BrokerUnavailable."""
        consumer = make_consumer(self._config)
        try:
            return {
                (topic, number): bounds_of(consumer, topic, number, self._timeouts)
                for topic in self._topics
                for number in partitions_of(consumer, topic, self._timeouts)
            }
        finally:
            consumer.close()

    def start(self, offsets: Mapping[Partition, int]) -> None:
        """Read each partition from its offset on."""
        self.close()
        self._paused, self._positions = PausedPartitions(), dict(offsets)
        self._consumer = make_consumer(self._config)
        self._consumer.assign([topic_partition(*item) for item in offsets.items()])

    def poll(self, seconds: float) -> list[GroupRecord]:
        """The records that have come, each partition's in order, and the ends that were reached.

        Raises Transient where retention took what was to be read, or for an unlisted error;
        TopicsWrong or ConsumerFailed.
        """
        if self._consumer is None:
            raise RuntimeError("start first")
        try:
            messages = self._consumer.consume(self._poll_records, seconds)
        except KafkaException as failure:
            raise ConsumerFailed(f"consume: {failure.args[0]}") from None
        records: list[GroupRecord] = []
        for message in messages:
            partition, offset = (message.topic(), message.partition()), message.offset()
            error = message.error()
            if error is None:
                self._positions[partition] = offset + 1
                records.append(ConsumedRecord(raw_record(message), partition, offset))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                self._positions[partition] = offset
                records.append(ConsumedRecord(None, partition, offset))
            else:
                self._raise_failure(error, partition)
        return records

    def hold(self, partitions: Collection[Partition]) -> None:
        """Take nothing from these partitions for now, and from all others again."""
        if self._consumer is not None:
            self._paused.replace(self._consumer, partitions)

    def lag(self) -> dict[Partition, int]:
        """Records behind the end of each partition, as far as the client knows."""
        if self._consumer is None:
            return {}
        return records_behind(self._consumer, self._positions)

    def close(self) -> None:
        """Stop reading. `start` may be called again."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    @staticmethod
    def _raise_failure(error: KafkaError, partition: Partition) -> None:
        """Raise what the error of a partition means, unless it passes."""
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - its public name
            raise Transient(f"{partition[0]}, partition {partition[1]}: {error.str()}")
        fault = fault_of_message(error, is_member=False)
        if fault is MessageError.UNKNOWN:
            raise unlisted_failure(error, partition)
        if fault is not None:
            _log.warning("inlet.error %s/%d %s", *partition, error)
