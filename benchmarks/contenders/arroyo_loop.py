"""sentry-arroyo, at least once: consume, produce, commit. Run in its own environment."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from arroyo.backends.kafka import KafkaConsumer, KafkaPayload, KafkaProducer
from arroyo.backends.kafka.configuration import build_kafka_configuration
from arroyo.backends.kafka.configuration import build_kafka_consumer_configuration as consuming
from arroyo.commit import CommitPolicy
from arroyo.processing.processor import StreamProcessor
from arroyo.processing.strategies import CommitOffsets, Produce, ProcessingStrategyFactory
from arroyo.types import Commit, Partition, Topic
from meter import Meter, read_task

logging.disable(logging.ERROR)


class Forward(ProcessingStrategyFactory[KafkaPayload]):
    """Produce what comes, count what is committed."""

    def __init__(self, producer: KafkaProducer, out: Topic) -> None:
        self._producer, self._out = producer, out

    def create_with_partitions(self, commit: Commit, _: Mapping[Partition, int]) -> Any:
        return Produce(self._producer, self._out, CommitOffsets(commit), max_buffer_size=10_000)


def main() -> None:
    task = read_task()
    brokers = {"bootstrap.servers": task.servers}
    consumer = KafkaConsumer(consuming(brokers, group_id=task.group, auto_offset_reset="earliest"))
    producer = KafkaProducer(
        build_kafka_configuration(
            brokers, override_params={"linger.ms": 5, "compression.type": "lz4"}
        )
    )
    forward = Forward(producer, Topic(task.out))
    processor = StreamProcessor(consumer, Topic(task.topic), forward, CommitPolicy(0.4, 2_000))
    meter = Meter()
    while sum(consumer.tell().values()) < task.records:
        for _ in range(200):
            processor._run_once()
    processor._shutdown()
    meter.report(task.records)


main()
