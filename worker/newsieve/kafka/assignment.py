"""What a consumer does with its assigned partitions, whoever assigned them: pause them, and say how
far it is behind.

It does not know why partitions are assigned or paused. Owner thread only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from confluent_kafka import OFFSET_INVALID, Consumer

from newsieve.kafka.config import topic_partition
from newsieve.kafka.offsets import Partition


class PausedPartitions:
    """The partitions that a consumer takes nothing from for now."""

    def __init__(self) -> None:
        self.partitions: frozenset[Partition] = frozenset()

    def replace(self, consumer: Consumer, wanted: Iterable[Partition]) -> None:
        """Pause the wanted partitions, and resume all others that are paused."""
        wanted = frozenset(wanted)
        if added := wanted - self.partitions:
            consumer.pause([topic_partition(item, OFFSET_INVALID) for item in added])
        if removed := self.partitions - wanted:
            consumer.resume([topic_partition(item, OFFSET_INVALID) for item in removed])
        self.partitions = wanted


def records_behind(
    consumer: Consumer, positions: Mapping[Partition, int | None]
) -> dict[Partition, int]:
    """How many records lie between each position and its partition's end, as far as the client
    knows the end without asking the broker."""
    lag = {}
    for partition, position in positions.items():
        _, high = consumer.get_watermark_offsets(
            topic_partition(partition, OFFSET_INVALID), cached=True
        )
        if position is not None and high >= 0:
            lag[partition] = max(high - position, 0)
    return lag
