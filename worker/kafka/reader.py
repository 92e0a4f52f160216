"""Reading topics for people and commands: committed records, no group, nothing committed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from worker.codec.decode import RawRecord
from worker.errors import BrokerUnavailable, TopicsWrong
from worker.kafka.client import Cluster, make_consumer
from worker.kafka.messages import raw_record

GROUP: Final = "newsieve-reader"  # librdkafka wants a name; the group is never joined
METADATA_SECONDS: Final = 15
POLL_SECONDS: Final = 0.2


class Found(NamedTuple):
    """A record and where it stood. A tombstone's value is None."""

    record: RawRecord
    partition: int
    offset: int


def read(
    cluster: Cluster, topic: str, *, from_beginning: bool, until_end: bool
) -> Iterator[Found]:
    """Records of all partitions; `until_end` stops at what was the end when it began.

    Raises BrokerUnavailable or TopicsWrong.
    """
    consumer = make_consumer(cluster.consumer(GROUP, {"enable.partition.eof": True}))
    try:
        partitions = _partitions(consumer, topic)
        ends = {p: _end(consumer, topic, p) for p in partitions}
        start = OFFSET_BEGINNING if from_beginning else OFFSET_END
        consumer.assign([TopicPartition(topic, p, start) for p in partitions])
        unread = set(partitions)
        while unread or not until_end:
            for message in consumer.consume(500, POLL_SECONDS):
                error, partition = message.error(), message.partition()
                if error is not None:
                    _judge(error)
                    unread.discard(partition)
                elif until_end and message.offset() >= ends[partition]:
                    unread.discard(partition)
                else:
                    yield Found(raw_record(message), partition, message.offset())
    except KafkaException as failure:
        raise BrokerUnavailable(f"{topic}: {failure.args[0].str()}") from None
    finally:
        consumer.close()


def _end(consumer: Consumer, topic: str, partition: int) -> int:
    _, high = consumer.get_watermark_offsets(
        TopicPartition(topic, partition), timeout=METADATA_SECONDS
    )
    return int(high)


def _judge(error: KafkaError) -> None:
    """The end of a partition is the only error that is none."""
    if error.code() != KafkaError._PARTITION_EOF:
        raise BrokerUnavailable(error.str())


def _partitions(consumer: Consumer, topic: str) -> list[int]:
    try:
        found = consumer.list_topics(topic, timeout=METADATA_SECONDS).topics[topic]
    except KafkaException as failure:
        raise BrokerUnavailable(
            f"no broker answers: {failure.args[0].str()}. Set NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS"
        ) from None
    if found.error is not None:
        raise TopicsWrong(f"{topic}: {found.error.str()}. `newsieve topics check` lists them")
    return sorted(found.partitions)
