"""Where a member of the group reads, and where it goes when its offset leads nowhere."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from confluent_kafka import OFFSET_STORED, Consumer, KafkaException, TopicPartition

from newsieve.errors import ConsumerFailed, OffsetsWrong
from newsieve.kafka.config import Partition, topic_partition
from newsieve.kafka.offset_query import OffsetQuery
from newsieve.kafka.offsets import Offsets

_log = logging.getLogger("newsieve.kafka")


class OffsetReset:
    """Of one member, whose consumer comes with each call: it may be replaced."""

    def __init__(
        self, offsets: Offsets, inquiry: OffsetQuery, expired: Callable[[int], None]
    ) -> None:
        """`expired` hears of records that retention took before we could."""
        self._offsets = offsets
        self._inquiry = inquiry
        self._expired = expired

    def find(self, consumer: Consumer, partitions: Sequence[Partition]) -> None:
        """Partitions have no record at the offset where we are, or we are nowhere yet.

        A new group begins at the beginning. What retention took is lost, and said. An offset beyond
        the end is somebody's to decide on: the topic was truncated, or is another of that name, and
        beginning again would score its records a second time. Raises OffsetsWrong.
        """
        for partition, extent in self._inquiry.extents(partitions).items():
            at = self._offsets.next_uncommitted(partition)
            at = extent.committed if at is None else at
            if at is not None and at > extent.high and extent.committed is not None:
                raise OffsetsWrong(
                    f"the group's offset {at} is beyond the end, {extent.high}, of partition "
                    f"{partition[1]} of {partition[0]}: it was truncated, or made anew. Set the "
                    "group's offset with kafka-consumer-groups.sh --reset-offsets to where scoring "
                    "should go on, and start again"
                )
            if at is not None and at < extent.low:
                _log.error("records.expired partition %d: %d", partition[1], extent.low - at)
                self._expired(extent.low - at)
            is_within = at is not None and extent.low <= at <= extent.high
            begin = at if at is not None and is_within else extent.low
            self._offsets.resume_at({partition: begin})
            self.go_to(consumer, partition, begin)

    def go_to(self, consumer: Consumer, partition: Partition, offset: int) -> None:
        place = topic_partition(partition, offset)
        try:
            consumer.seek(place)
        except KafkaException:  # not while it fetches nothing, as behind the end: assign it anew
            try:
                self._assign_anew(consumer, place)
            except KafkaException as failure:
                raise ConsumerFailed(f"go to {partition}, {offset}: {failure.args[0]}") from None

    def _assign_anew(self, consumer: Consumer, place: TopicPartition) -> None:
        """Keep the others where they are."""
        try:
            consumer.incremental_unassign([place])
            consumer.incremental_assign([place])
        except KafkaException:  # a user's eager assignor takes all or nothing
            resumes = {item: self._offsets.next_uncommitted(item) for item in self._offsets.owned()}
            consumer.assign(
                [
                    topic_partition(item, OFFSET_STORED if at is None else at)
                    for item, at in resumes.items()
                ]
            )
