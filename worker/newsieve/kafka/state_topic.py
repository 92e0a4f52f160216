"""Restores what was written to a topic before, for a program that takes a partition over.

A predecessor may have been killed with a transaction that is still undecided, so reading waits
until all records that were in the topic when it began are decided. All clients here live for one
question.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from confluent_kafka import Consumer

from newsieve.kafka.config import Cluster, Partition, make_consumer
from newsieve.kafka.messages import StoredRecord
from newsieve.kafka.topic_reader import GROUP, Reader, bounds_of, partitions_of
from newsieve.records.decode import Headers, RawRecord

WAIT_MILLISECONDS: Final = 20  # somebody waits: that the end is reached, only a fetch can say
POLL_SECONDS: Final = 0.02  # likewise
OFFSETS_PER_RECORD: Final = 2  # its own, and its transaction's marker's


def partition_count(cluster: Cluster, topic: str) -> int:
    """How many partitions a topic has. Raises BrokerUnavailable or TopicsWrong."""
    consumer = make_consumer(cluster.consumer(GROUP))
    try:
        return len(partitions_of(consumer, topic, cluster.timeouts))
    finally:
        consumer.close()


def latest_by_key(
    cluster: Cluster, topic: str, keys: Collection[bytes] | None, heartbeat: Callable[[], None]
) -> dict[bytes, bytes]:
    """The latest value of each of these keys, or of all, in a compacted topic; none for a
    tombstone. Of a key that is on several partitions, since some were added, the newest counts.

    Raises BrokerUnavailable or TopicsWrong.
    """
    found = latest_records(cluster, topic, keys, heartbeat)
    return {key: record.value or b"" for key, record in found.items()}


def latest_with_prefix(
    cluster: Cluster, topic: str, prefix: bytes, heartbeat: Callable[[], None]
) -> dict[bytes, bytes]:
    """The same as `latest_by_key`, of all keys that begin with this prefix."""
    found: dict[bytes, bytes] = {}
    for item in _decided(cluster, [topic], None, heartbeat):
        key = item.record.key
        if key is None or not key.startswith(prefix):
            continue
        if item.record.value:
            found[key] = item.record.value
        else:
            found.pop(key, None)
    return found


def latest_records(
    cluster: Cluster, topic: str, keys: Collection[bytes] | None, heartbeat: Callable[[], None]
) -> dict[bytes, RawRecord]:
    """The same as `latest_by_key`, but whole records, which say when they were written."""
    latest: dict[bytes, StoredRecord] = {}
    for item in _decided(cluster, [topic], None, heartbeat):
        key = item.record.key
        if key is not None and (keys is None or key in keys) and _is_later(item, latest.get(key)):
            latest[key] = item
    return {key: item.record for key, item in latest.items() if item.record.value}


def _is_later(item: StoredRecord, known: StoredRecord | None) -> bool:
    """Whether a record was written after another one of its key, which was read before it."""
    if known is None or known.partition == item.partition:
        return True
    return (item.record.timestamp_ms or 0) >= (known.record.timestamp_ms or 0)


def last_records(
    cluster: Cluster, topic: str, records: int, heartbeat: Callable[[], None]
) -> Iterator[bytes]:
    """The values of about so many records at a topic's end.

    Raises BrokerUnavailable or TopicsWrong.
    """
    for item in _decided(cluster, [topic], records, heartbeat):
        if item.record.value:
            yield item.record.value


def headers(
    cluster: Cluster, topics: Sequence[str], heartbeat: Callable[[], None]
) -> Iterator[Headers | None]:
    """The headers of all records of some topics, from their beginning.

    Raises BrokerUnavailable or TopicsWrong.
    """
    for item in _decided(cluster, topics, None, heartbeat):
        yield item.record.headers


def _decided(
    cluster: Cluster, topics: Sequence[str], records: int | None, heartbeat: Callable[[], None]
) -> Iterator[StoredRecord]:
    """All committed records below the present end, once everything there is decided."""
    bounds = _bounds_with_what_is_open(cluster, topics)
    ends = {item: high for item, (_, high) in bounds.items()}
    each = OFFSETS_PER_RECORD * -(-records // len(ends)) if records is not None else None
    starts = {
        item: low if each is None else max(high - each, low) for item, (low, high) in bounds.items()
    }
    reader = Reader(cluster, topics, ends, WAIT_MILLISECONDS)
    try:
        reader.start(starts)
        while reader.unread:
            heartbeat()
            yield from reader.poll(POLL_SECONDS)
    finally:
        reader.close()


def _bounds_with_what_is_open(
    cluster: Cluster, topics: Sequence[str]
) -> dict[Partition, tuple[int, int]]:
    uncommitted: Consumer = make_consumer(
        cluster.consumer(GROUP, {"isolation.level": "read_uncommitted"})
    )
    try:
        return {
            (topic, partition): bounds_of(uncommitted, topic, partition, cluster.timeouts)
            for topic in topics
            for partition in partitions_of(uncommitted, topic, cluster.timeouts)
        }
    finally:
        uncommitted.close()
