"""Which partition of the state topic a feed belongs to, and with it which ingester asks it.

It is the partition that a producer of ours puts a record with the feed's address as key on. It
does not know who owns a partition.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable

from newsieve.feeds.feed import Feed


def partition_of(url: str, partitions: int) -> int:
    """Return a feed's partition, by the CRC-32 of its address: librdkafka's `consistent`."""
    return zlib.crc32(url.encode()) % partitions


def feeds_of(
    feeds: Iterable[Feed], owned: Collection[int], partitions: int
) -> dict[str, tuple[Feed, int]]:
    """Return the feeds that belong to the owned ones of so many partitions, by address, each with
    its partition."""
    found = {}
    for feed in feeds:
        partition = partition_of(feed.url, partitions)
        if partition in owned:
            found[feed.url] = (feed, partition)
    return found
