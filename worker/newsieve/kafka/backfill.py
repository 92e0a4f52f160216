"""A stretch of the raw topic that is scored again, in a group of its own.

The live group never notices. It does not know how records are scored.
"""

from __future__ import annotations

import time
from typing import Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from newsieve.errors import BrokerUnavailable
from newsieve.kafka.config import Cluster, Partition, make_consumer, topic_partition
from newsieve.kafka.retry import retry_until_available
from newsieve.kafka.topic_reader import end_of, partitions_of

ASK_SECONDS: Final = 1.0
_NONE: Final = -1
_HAS_MEMBERS: Final = frozenset(
    {
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.REBALANCE_IN_PROGRESS,
    }
)


class Backfill:
    """The offsets between two times: from the first record of each partition at or after one up to,
    not including, the first at or after the other. Times are Kafka timestamps, in ms."""

    def __init__(
        self, cluster: Cluster, group: str, topic: str, since_ms: int, until_ms: int
    ) -> None:
        """Find the offsets of both times. Raises BrokerUnavailable or TopicsWrong."""
        # What is committed, whatever a killed predecessor's transaction still has pending.
        config = cluster.consumer(group, {"isolation.level": "read_uncommitted"})
        self._consumer = make_consumer(config)
        self._timeouts = cluster.timeouts
        self._topic = topic
        self._asked_at = 0.0
        self._is_done = False
        partitions = partitions_of(self._consumer, topic, self._timeouts)
        self.starts = self._offsets_at(since_ms, partitions)
        self.ends = self._offsets_at(until_ms, partitions)

    def seed(self) -> None:
        """Let a new group begin at the start; one that has begun goes on where it is.

        All partitions at once, so that a group has either all of them or none. Raises
        BrokerUnavailable.
        """
        if any(
            offset >= 0
            for offset in retry_until_available(
                self._consumer, self._committed, self._timeouts
            ).values()
        ):
            return
        starts = [topic_partition(*item) for item in self.starts.items()]
        try:
            self._consumer.commit(offsets=starts, asynchronous=False)
        except KafkaException as failure:
            error = failure.args[0]
            if error.code() not in _HAS_MEMBERS:  # who have been through here
                raise BrokerUnavailable(f"the backfill cannot begin: {error.str()}") from None

    def is_done(self) -> bool:
        """Whether the group has committed all ends. Asks the broker, once a second."""
        if not self._is_done and time.monotonic() - self._asked_at > ASK_SECONDS:
            self._asked_at = time.monotonic()
            try:
                committed = self._committed()
            except KafkaException:
                return False
            self._is_done = all(committed[item] >= end for item, end in self.ends.items())
        return self._is_done

    def _committed(self) -> dict[Partition, int]:
        asked = [topic_partition(item, _NONE) for item in self.starts]
        return _offsets(self._consumer.committed(asked, timeout=self._timeouts.call_seconds))

    def _offsets_at(self, timestamp_ms: int, partitions: list[int]) -> dict[Partition, int]:
        """The offset of the first record at or after a time, by partition; its end if there is
        none."""
        asked = [TopicPartition(self._topic, partition, timestamp_ms) for partition in partitions]
        found = retry_until_available(
            self._consumer,
            lambda: _offsets(
                self._consumer.offsets_for_times(asked, timeout=self._timeouts.call_seconds)
            ),
            self._timeouts,
        )
        return {
            item: offset if offset >= 0 else end_of(self._consumer, *item, self._timeouts)
            for item, offset in found.items()
        }


def _offsets(found: list[TopicPartition]) -> dict[Partition, int]:
    """The offsets of an answer, by partition. Raises KafkaException for a partition without an
    answer: its offset is what was asked."""
    for item in found:
        if item.error is not None:
            raise KafkaException(item.error)
    return {(item.topic, item.partition): item.offset for item in found}
