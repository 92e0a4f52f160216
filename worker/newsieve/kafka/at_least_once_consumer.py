"""A member of a group that takes one record after another, and moves on when told to.

At least once: what was not moved on from comes again. For programs outside of newsieve's
transactions, such as somebody's pager.
"""

from __future__ import annotations

from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from newsieve.errors import BrokerUnavailable, ConsumerFailed
from newsieve.kafka.config import (
    CALL_SECONDS,
    Cluster,
    make_consumer,
    require_access,
    retry_until_available,
)
from newsieve.kafka.message_errors import MessageError, message_error_of
from newsieve.kafka.messages import raw_record
from newsieve.kafka.topic_reader import Found, partitions_of, start_group_at_end

# A record may take its time; who is away for longer has its partition taken away.
MOST_MINUTES_A_RECORD: Final = 10


class AtLeastOnceConsumer:
    """Of one topic. Close it."""

    def __init__(self, cluster: Cluster, group: str, topic: str, *, from_beginning: bool) -> None:
        """A new group begins with what comes from now on, or at the beginning.

        Raises BrokerUnavailable or TopicsWrong.
        """
        ours = {
            "auto.offset.reset": "earliest",  # what expired is told again rather than not at all
            "max.poll.interval.ms": MOST_MINUTES_A_RECORD * 60_000,
        }
        self._consumer: Consumer = make_consumer(cluster.consumer(group, ours))
        partitions = [TopicPartition(topic, n) for n in partitions_of(self._consumer, topic)]
        if not from_beginning:
            known = retry_until_available(
                self._consumer, lambda: self._consumer.committed(partitions, timeout=CALL_SECONDS)
            )
            if all(item.offset < 0 for item in known):
                start_group_at_end(cluster, group, topic)
        self._consumer.subscribe([topic])

    def next(self, seconds: float) -> Found | None:
        """The next record, if one comes in time. Raises TopicsWrong or ConsumerFailed."""
        message = self._consumer.poll(seconds)
        if message is None:
            return None
        error = message.error()
        if error is None:
            place = (message.topic(), message.partition(), message.offset())
            return Found(raw_record(message), *place)
        require_access(error)
        # It does not hear of a topic that was made anew. Started again, it says whether there is
        # one, and, of an error that nobody has listed, whether it was a passing one.
        if error.fatal() or message_error_of(error) is not MessageError.PASSING:
            raise ConsumerFailed(f"the consumer failed: {error}")
        return None

    def move_on(self, found: Found) -> None:
        """This record is dealt with. Raises BrokerUnavailable where that cannot be put on record:
        it will come again."""
        place = TopicPartition(found.topic, found.partition, found.offset + 1)
        try:
            self._consumer.commit(offsets=[place], asynchronous=False)
        except KafkaException as failure:
            raise BrokerUnavailable(f"not put on record: {failure.args[0].str()}") from None

    def close(self) -> None:
        self._consumer.close()
