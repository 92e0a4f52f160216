"""Where reading goes on when an offset leads nowhere: auto.offset.reset, done by hand.

`earliest` would read a truncated partition a second time, and `latest` would skip records. Knows
nothing of what is read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from confluent_kafka import OFFSET_STORED, Consumer, KafkaException, TopicPartition

from newsieve.errors import ConsumerFailed, OffsetsWrong
from newsieve.kafka.config import Partition, topic_partition
from newsieve.kafka.offset_query import OffsetQuery, Watermarks
from newsieve.kafka.offsets import Offsets

_log = logging.getLogger("newsieve.kafka")


class OffsetReset:
    """Moves a group member's partitions to the offsets where they can be read on.

    The consumer comes with each call, since it may be replaced.
    """

    def __init__(
        self, offsets: Offsets, offset_query: OffsetQuery, on_expired: Callable[[int], None]
    ) -> None:
        """`on_expired` is called with how many records retention took before they were read."""
        self._offsets = offsets
        self._offset_query = offset_query
        self._on_expired = on_expired

    def resolve(self, consumer: Consumer, partitions: Sequence[Partition]) -> None:
        """Find and seek the offsets of partitions that have no record where they are read, or that
        have no offset yet. Raises OffsetsWrong, and what the offset query raises."""
        for partition, marks in self._offset_query.watermarks(partitions).items():
            position = self._offsets.next_uncommitted(partition)
            position = marks.committed if position is None else position
            start = starting_offset(partition, marks, position, self._on_expired)
            self._offsets.resume_at({partition: start})
            self.seek(consumer, partition, start)

    def seek(self, consumer: Consumer, partition: Partition, offset: int) -> None:
        """Let the consumer read the partition on from this offset. Raises ConsumerFailed."""
        target = topic_partition(partition, offset)
        try:
            consumer.seek(target)
        except KafkaException:  # not while it fetches nothing, as behind the end: assign it anew
            try:
                self._assign_anew(consumer, target)
            except KafkaException as failure:
                raise ConsumerFailed(f"go to {partition}, {offset}: {failure.args[0]}") from None

    def _assign_anew(self, consumer: Consumer, target: TopicPartition) -> None:
        """Assign one partition again, and keep the others where they are."""
        try:
            consumer.incremental_unassign([target])
            consumer.incremental_assign([target])
        except KafkaException:  # a user's eager assignor takes all or nothing
            resumes = {item: self._offsets.next_uncommitted(item) for item in self._offsets.owned()}
            consumer.assign(
                [
                    topic_partition(item, OFFSET_STORED if offset is None else offset)
                    for item, offset in resumes.items()
                ]
            )


def starting_offset(
    partition: Partition,
    marks: Watermarks,
    position: int | None,
    on_expired: Callable[[int], None],
    *,
    begins_at_end: bool = False,
) -> int:
    """The offset to read a partition on from, for a group that stands at `position`.

    A new group begins at the beginning, or at the end if it `begins_at_end`. Records that retention
    took are lost, which is logged and counted by `on_expired`. Raises OffsetsWrong for a group
    beyond the end: the topic was truncated, or is another of that name, and to begin again would
    process its records a second time. That is for a person to decide.
    """
    low, high, committed = marks
    if position is not None and position > high:
        if committed is not None:
            raise OffsetsWrong(
                f"the group's offset {position} is beyond the end, {high}, of partition "
                f"{partition[1]} of {partition[0]}: it was truncated, or created again. Set the "
                "group's offset with kafka-consumer-groups.sh --reset-offsets to where reading "
                "should go on, and start again"
            )
        return low
    if position is None:
        return high if begins_at_end else low
    if position < low:
        _log.error("records.expired %s/%d: %d", *partition, low - position)
        on_expired(low - position)
    return max(position, low)
