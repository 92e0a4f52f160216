"""Restores the states of feeds from the state topic, for an ingester that takes partitions over.

A predecessor's transaction is decided before its offsets are known, so its states are there by the
time that they are read. All partitions are read, since a state may lie in another one than its
feed belongs to: partitions are added, and `kafka.options` may set another partitioner.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from newsieve.feeds.feed import Feed
from newsieve.kafka.config import Cluster, Partition
from newsieve.kafka.offset_query import OffsetQuery
from newsieve.kafka.state_topic import latest_by_key, partition_count
from newsieve.programs.ingest.feed_partitions import feeds_of
from newsieve.programs.ingest.state_records import read_state
from newsieve.stream.logs import get_logger
from newsieve_schemas.ingest import FeedState

_log = get_logger("ingest")


class RestoredFeeds(NamedTuple):
    """The feeds of owned partitions, their states, and where the group stands.

    `feeds` has each feed with its partition, by address; `states` lacks those that were never
    asked, `offsets` partitions that nobody has committed.
    """

    feeds: Mapping[str, tuple[Feed, Partition]]
    states: Mapping[str, FeedState]
    offsets: Mapping[Partition, int]


class FeedStateStore(Protocol):
    """The states of feeds that a predecessor left behind."""

    def restore(self, owned: Sequence[Partition], feeds: Collection[Feed]) -> RestoredFeeds:
        """Return those of the feeds that belong to the owned partitions, with their states, none
        of which is still being written. Raises BrokerUnavailable or TopicsWrong."""
        ...


class KafkaFeedStateStore:
    """Restores the states of one group's feeds from Kafka."""

    def __init__(
        self, cluster: Cluster, offset_query: OffsetQuery, topic: str, heartbeat: Callable[[], None]
    ) -> None:
        self._cluster = cluster
        self._offset_query = offset_query
        self._topic = topic
        self._heartbeat = heartbeat

    def restore(self, owned: Sequence[Partition], feeds: Collection[Feed]) -> RestoredFeeds:
        """Return the feeds of these partitions. Raises BrokerUnavailable or TopicsWrong."""
        started = time.monotonic()
        offsets = self._offset_query.committed(owned)  # no answer while one of them is undecided
        partitions = partition_count(self._cluster, self._topic)
        ours = feeds_of(feeds, {number for _, number in owned}, partitions)
        keys = {url.encode() for url in ours}
        values = latest_by_key(self._cluster, self._topic, keys, self._heartbeat) if keys else {}
        states = {}
        for key, value in values.items():
            state = read_state(key, value).feed
            if state is not None:
                states[key.decode()] = state
        _log.info(
            "feeds.restored",
            feeds=len(ours),
            states=len(states),
            partitions=len(owned),
            seconds=round(time.monotonic() - started, 3),
        )
        placed = {url: (feed, (self._topic, number)) for url, (feed, number) in ours.items()}
        return RestoredFeeds(placed, states, offsets)
