"""What was written down before, read back by whoever takes a partition over.

A predecessor may have been killed with a transaction that is still being decided, so reading waits
until all that stood in a topic when it began is. All clients here live for one question.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Final

from confluent_kafka import Consumer

from worker.kafka.client import Cluster, Partition, make_consumer
from worker.kafka.reader import GROUP, Found, Reader, end_of, partitions_of

OFFSETS_PER_RECORD: Final = 2  # its own, and its transaction's marker's


def partition_count(cluster: Cluster, topic: str) -> int:
    """Raises BrokerUnavailable or TopicsWrong."""
    consumer = make_consumer(cluster.consumer(GROUP))
    try:
        return len(partitions_of(consumer, topic))
    finally:
        consumer.close()


def latest(
    cluster: Cluster, topic: str, keys: Collection[bytes], heartbeat: Callable[[], None]
) -> dict[bytes, bytes]:
    """The latest value of each of these keys in a compacted topic; none for a tombstone.

    Raises BrokerUnavailable or TopicsWrong.
    """
    found: dict[bytes, bytes] = {}
    for item in _decided(cluster, topic, None, heartbeat):
        key = item.record.key
        if key in keys and key is not None:
            if item.record.value:
                found[key] = item.record.value
            else:
                found.pop(key, None)
    return found


def tail(
    cluster: Cluster, topic: str, records: int, heartbeat: Callable[[], None]
) -> Iterator[bytes]:
    """The values of about so many records at a topic's end.

    Raises BrokerUnavailable or TopicsWrong.
    """
    for item in _decided(cluster, topic, records, heartbeat):
        if item.record.value:
            yield item.record.value


def _decided(
    cluster: Cluster, topic: str, records: int | None, heartbeat: Callable[[], None]
) -> Iterator[Found]:
    """All committed records below the present end, once everything there is decided."""
    ends = _ends_with_what_is_open(cluster, topic)
    each = OFFSETS_PER_RECORD * -(-records // len(ends)) if records is not None else None
    starts = {item: max(end - each, 0) for item, end in ends.items()} if each is not None else None
    reader = Reader(cluster, [topic], ends)
    try:
        reader.start(starts)
        while reader.unread:
            heartbeat()
            yield from reader.poll()
    finally:
        reader.close()


def _ends_with_what_is_open(cluster: Cluster, topic: str) -> dict[Partition, int]:
    uncommitted: Consumer = make_consumer(
        cluster.consumer(GROUP, {"isolation.level": "read_uncommitted"})
    )
    try:
        return {
            (topic, partition): end_of(uncommitted, topic, partition)
            for partition in partitions_of(uncommitted, topic)
        }
    finally:
        uncommitted.close()
