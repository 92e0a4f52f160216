"""A member of a group that reads one record after another, and commits those that were handled.

At least once: a record whose offset was not committed comes again. It is for programs outside of
newsieve's transactions, such as somebody's webhook or pager. While such a program waits for an
outside system, the member stays in its group, however long that takes. Owner thread only.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from newsieve.errors import BrokerUnavailable, ConsumerFailed
from newsieve.kafka.assignment import PausedPartitions, records_behind
from newsieve.kafka.config import Cluster, Partition, make_consumer, topic_partition
from newsieve.kafka.group_membership import group_of
from newsieve.kafka.message_errors import MessageError, fault_of_message
from newsieve.kafka.messages import ConsumedRecord, StoredRecord, raw_record
from newsieve.kafka.offsets import Offsets
from newsieve.kafka.retry import retry_until_available
from newsieve.kafka.topic_reader import end_of, partitions_of, start_group_at_end

# Between two calls of `poll` or `wait`: who is away for longer has its partitions taken away.
MOST_MINUTES_AWAY: Final = 10

_log = logging.getLogger("newsieve.kafka")


class AtLeastOnceConsumer:
    """Reads one topic as a member of a group. Close it."""

    # More than 15 methods: the callbacks of a rebalance change what all the others ask for.

    def __init__(
        self,
        cluster: Cluster,
        group: str,
        topic: str,
        *,
        from_beginning: bool,
        until_end: bool = False,
    ) -> None:
        """A new group begins at the end, or at the beginning if it is told to; with `until_end` it
        takes nothing from the present ends on.

        Raises BrokerUnavailable, TopicsWrong or AccessDenied.
        """
        ours = {
            "auto.offset.reset": "earliest",  # what expired is told again rather than not at all
            "max.poll.interval.ms": MOST_MINUTES_AWAY * 60_000,
            "enable.partition.eof": True,  # for `lag` and `is_at_end`
        }
        self._consumer: Consumer = make_consumer(cluster.consumer(group, ours))
        self._offsets = Offsets()
        self._paused = PausedPartitions()
        self._early: deque[StoredRecord] = deque()  # came in spite of a pause
        self._read_to_end: set[Partition] = set()
        self.is_member = False  # read by other threads
        numbers = partitions_of(self._consumer, topic, cluster.timeouts)
        partitions = [TopicPartition(topic, number) for number in numbers]
        self._ends: dict[Partition, int] | None = None
        if until_end:
            self._ends = {
                (topic, number): end_of(self._consumer, topic, number, cluster.timeouts)
                for number in numbers
            }
        if not from_beginning:
            group_of(cluster, group)  # without a right on it, `committed` would wait in vain
            call_seconds = cluster.timeouts.call_seconds
            known = retry_until_available(
                self._consumer,
                lambda: self._consumer.committed(partitions, timeout=call_seconds),
                cluster.timeouts,
            )
            if all(item.offset < 0 for item in known):
                start_group_at_end(cluster, group, topic)
        self._consumer.subscribe(
            [topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    @property
    def is_at_end(self) -> bool:
        """Whether all owned partitions were read up to the ends that were the present ones at the
        start; never without `until_end`."""
        is_read = self._ends is not None and self.is_member and not self._early
        return is_read and self._read_to_end.issuperset(self._offsets.owned())

    def poll(self, seconds: float) -> StoredRecord | None:
        """Return the next record, if one comes in time. Raises TopicsWrong or ConsumerFailed."""
        self._paused.replace(self._consumer, ())
        while self._early:
            item = self._early.popleft()
            if self.is_current(item):
                return item
        return self._take(self._consumer.poll(seconds))

    def wait(self, seconds: float) -> None:
        """Stay in the group for so long without taking a record. Raises as `poll`."""
        self._paused.replace(self._consumer, self._offsets.owned())
        item = self._take(self._consumer.poll(seconds))
        if item is not None:  # of a partition that was assigned just now
            self._early.append(item)

    def is_current(self, item: StoredRecord) -> bool:
        """Return whether the record's partition has been ours since the record was read. Otherwise
        the record comes again, here or at another member."""
        return self._offsets.is_current(item.partition, item.epoch)

    def handled(self, item: StoredRecord) -> None:
        """Note that the next commit may go beyond this record."""
        if self.is_current(item):
            self._offsets.produce(item.partition, item.offset)

    def commit(self) -> None:
        """Commit the offsets behind all records that were handled. Raises BrokerUnavailable where
        that failed: the next commit has them, too."""
        wanted = self._offsets.to_commit()
        if not wanted:
            return
        positions = [topic_partition(*item) for item in wanted.items()]
        try:
            for position in self._consumer.commit(offsets=positions, asynchronous=False):
                if position.error is not None:
                    raise KafkaException(position.error)
        except KafkaException as failure:
            raise BrokerUnavailable(f"not committed: {failure.args[0].str()}") from None
        self._offsets.committed()

    def lag(self) -> dict[Partition, int]:
        """Return the records behind the end of each owned partition, as far as the client knows."""
        positions = {item: self._offsets.lag_position(item) for item in self._offsets.owned()}
        return records_behind(self._consumer, positions)

    def close(self) -> None:
        """Leave the group, and give its partitions up."""
        self._consumer.close()

    def _take(self, message: Message | None) -> StoredRecord | None:
        """Return the record of what was polled. Raises TopicsWrong or ConsumerFailed."""
        if message is None:
            return None
        partition, offset = (message.topic(), message.partition()), message.offset()
        error: KafkaError | None = message.error()
        is_end = error is not None and error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001 - its public name
        # It does not hear of a topic that was made anew. Started again, it says whether there is
        # one, and, of an error that nobody has listed, whether it was a passing one.
        if error is not None and not is_end:
            if fault_of_message(error) is not MessageError.PASSING:
                raise ConsumerFailed(f"the consumer failed: {error}")
            return None
        if self._ends is not None and offset >= self._ends.get(partition, 0):
            self._read_to_end.add(partition)
            return None
        if is_end:
            self._offsets.at_end(partition, offset)
            return None
        epoch = self._offsets.take(partition, offset)
        if epoch is None:
            return None
        return ConsumedRecord(raw_record(message), partition, offset, epoch)

    def _on_assign(self, member: Consumer, partitions: list[TopicPartition]) -> None:
        names = _names(partitions)
        self._offsets.assign(names)
        # librdkafka remembers a pause when a partition leaves and comes back.
        self._paused.partitions |= frozenset(names)
        self._paused.replace(member, self._paused.partitions - frozenset(names))
        self.is_member = True
        _log.info("partitions.assigned %s", [number for _, number in names])

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        with contextlib.suppress(BrokerUnavailable):  # then the records come again, elsewhere
            self.commit()
        self._forget(partitions)
        _log.info("partitions.revoked %s", [item.partition for item in partitions])

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self.is_member = False
        self._forget(partitions)
        _log.warning("partitions.lost %s", [item.partition for item in partitions])

    def _forget(self, partitions: Sequence[TopicPartition]) -> None:
        names = _names(partitions)
        self._offsets.revoke(names)
        self._paused.partitions -= frozenset(names)
        self._read_to_end.difference_update(names)


def _names(partitions: Sequence[TopicPartition]) -> list[Partition]:
    return [(item.topic, item.partition) for item in partitions]
