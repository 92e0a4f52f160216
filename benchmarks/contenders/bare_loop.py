"""confluent-kafka and nothing else: consume, produce the value unchanged, commit transactions."""

from __future__ import annotations

from confluent_kafka import Consumer, Producer, TopicPartition
from meter import Meter, read_task

BATCH = 500
TRANSACTION_RECORDS = 2_000


def main() -> None:
    task = read_task()
    common = {"bootstrap.servers": task.servers}
    consumer = Consumer(
        common
        | {
            "group.id": task.group,
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
        }
    )
    producer = Producer(
        common | {"transactional.id": task.group, "linger.ms": 5, "compression.type": "lz4"}
    )
    producer.init_transactions()
    consumer.subscribe([task.topic])
    meter, done, pending = Meter(), 0, 0
    ends: dict[int, int] = {}
    while done < task.records:
        messages = consumer.consume(BATCH, 0.1)
        if messages and not pending:
            producer.begin_transaction()
        for message in messages:
            producer.produce(task.out, message.value(), message.key())
            ends[message.partition()] = message.offset() + 1
        pending += len(messages)
        if pending >= TRANSACTION_RECORDS or (pending and done + pending >= task.records):
            offsets = [TopicPartition(task.topic, p, end) for p, end in ends.items()]
            producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata())
            producer.commit_transaction()
            done, pending = done + pending, 0
    meter.report(done)
    consumer.close()


main()
