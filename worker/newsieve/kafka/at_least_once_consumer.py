"""A member of a group that reads one record after another, and commits when told to.

At least once: a record that was not committed comes again. It is for programs outside of
newsieve's transactions, such as somebody's pager.
"""

from __future__ import annotations

from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from newsieve.errors import BrokerUnavailable, ConsumerFailed
from newsieve.kafka.config import Cluster, make_consumer, topic_partition
from newsieve.kafka.message_errors import MessageError, fault_of_message
from newsieve.kafka.messages import ConsumedRecord, StoredRecord, raw_record
from newsieve.kafka.retry import retry_until_available
from newsieve.kafka.topic_reader import partitions_of, start_group_at_end

# A record may take its time; who is away for longer has its partition taken away.
MOST_MINUTES_A_RECORD: Final = 10


class AtLeastOnceConsumer:
    """Reads one topic as a member of a group. Close it."""

    def __init__(self, cluster: Cluster, group: str, topic: str, *, from_beginning: bool) -> None:
        """A new group begins at the end, or at the beginning if it is told to.

        Raises BrokerUnavailable or TopicsWrong.
        """
        ours = {
            "auto.offset.reset": "earliest",  # what expired is told again rather than not at all
            "max.poll.interval.ms": MOST_MINUTES_A_RECORD * 60_000,
        }
        self._consumer: Consumer = make_consumer(cluster.consumer(group, ours))
        numbers = partitions_of(self._consumer, topic, cluster.timeouts)
        partitions = [TopicPartition(topic, number) for number in numbers]
        if not from_beginning:
            call_seconds = cluster.timeouts.call_seconds
            known = retry_until_available(
                self._consumer,
                lambda: self._consumer.committed(partitions, timeout=call_seconds),
                cluster.timeouts,
            )
            if all(item.offset < 0 for item in known):
                start_group_at_end(cluster, group, topic)
        self._consumer.subscribe([topic])

    def poll(self, seconds: float) -> StoredRecord | None:
        """The next record, if one comes in time. Raises TopicsWrong or ConsumerFailed."""
        message = self._consumer.poll(seconds)
        if message is None:
            return None
        error = message.error()
        if error is None:
            partition = message.topic(), message.partition()
            return ConsumedRecord(raw_record(message), partition, message.offset())
        # It does not hear of a topic that was made anew. Started again, it says whether there is
        # one, and, of an error that nobody has listed, whether it was a passing one.
        if fault_of_message(error) is not MessageError.PASSING:
            raise ConsumerFailed(f"the consumer failed: {error}")
        return None

    def commit(self, item: StoredRecord) -> None:
        """Commit the offset behind a record that has been processed. Raises BrokerUnavailable
        where that failed: the record will come again."""
        position = topic_partition(item.partition, item.offset + 1)
        try:
            self._consumer.commit(offsets=[position], asynchronous=False)
        except KafkaException as failure:
            raise BrokerUnavailable(f"not committed: {failure.args[0].str()}") from None

    def close(self) -> None:
        """Leave the group, and give its partitions up."""
        self._consumer.close()
