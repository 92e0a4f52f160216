"""Restores what a drift monitor needs when it takes over: its group's offsets and the state topic.

Does not know what a state says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from newsieve.kafka.assigned_consumer import AssignedConsumer
from newsieve.kafka.config import Cluster, Partition
from newsieve.kafka.offset_query import OffsetQuery
from newsieve.kafka.offset_reset import starting_offset
from newsieve.kafka.state_topic import latest_by_key
from newsieve_schemas.topics import SCORED


class RestoredState(NamedTuple):
    """The offsets to continue from, in the order of partitions, and the latest states by key."""

    offsets: Mapping[Partition, int]
    states: Mapping[bytes, bytes]


class KafkaStateStore:
    """Restores a consumer group's offsets and drift state."""

    def __init__(
        self,
        cluster: Cluster,
        offset_query: OffsetQuery,
        consumer: AssignedConsumer,
        state_topic: str,
        heartbeat: Callable[[], None],
        expired: Callable[[int], None],
    ) -> None:
        """`expired` is told the number of records that retention deleted before they were read."""
        self._cluster = cluster
        self._offset_query = offset_query
        self._consumer = consumer
        self._state_topic = state_topic
        self._heartbeat = heartbeat
        self._expired = expired

    def restore(self) -> RestoredState:
        """Return offsets and states. A predecessor's transaction is decided before its offsets are
        known, so its states are there by the time that they are read. Raises BrokerUnavailable,
        TopicsWrong or OffsetsWrong."""
        watermarks = self._offset_query.watermarks(self._consumer.partitions())
        offsets = {
            partition: starting_offset(
                partition,
                marks,
                marks.committed,
                self._expired,
                begins_at_end=_begins_at_end(partition),
            )
            for partition, marks in watermarks.items()
        }
        return RestoredState(
            offsets, latest_by_key(self._cluster, self._state_topic, None, self._heartbeat)
        )

    def partitions(self) -> list[Partition]:
        """Return all partitions of the inputs. Raises BrokerUnavailable or TopicsWrong."""
        return self._consumer.partitions()


def _begins_at_end(partition: Partition) -> bool:
    """Return whether a new group skips what is in a partition. It reads all labels there are, and
    scored articles from now on: its first day is what later ones are compared with."""
    return partition[0].endswith(f".{SCORED}")
