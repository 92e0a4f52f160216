"""A stream for one test: its topics, its raw records, its workers, its reader."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from newsieve.kafka.admin import TopicAdmin
from newsieve.kafka.config import Cluster
from newsieve_schemas.topics import topics
from tests.support.filters import load
from tests.support.reader import CommittedReader
from tests.support.workers import WorkerProcess, environment

Header = tuple[str, bytes | None]


@dataclass
class Stream:
    """Everything a test of the running system needs."""

    servers: str
    prefix: str
    folder: Path
    students: dict[str, Path]
    raw: set[tuple[int, int]] = field(default_factory=set)
    workers: list[WorkerProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.create_topics()

    def create_topics(self) -> None:
        """Those that are missing."""
        published = {name: load(name).definition.published_tiers for name in self.students}
        TopicAdmin(Cluster(self.servers, {})).create(topics(self.prefix, published))

    def delete_topic(self, suffix: str) -> None:
        """And wait until the broker does not know it any more."""
        admin, topic = AdminClient({"bootstrap.servers": self.servers}), f"{self.prefix}.{suffix}"
        admin.delete_topics([topic])[topic].result(20)
        while topic in admin.list_topics(timeout=20).topics:
            time.sleep(0.05)

    @property
    def raw_topic(self) -> str:
        return f"{self.prefix}.raw"

    def environment(self, **more: object) -> dict[str, str]:
        return environment(self.servers, self.prefix, self.students, **more)

    def produce(
        self,
        records: Iterable[tuple[bytes | None, bytes | None]],
        headers: list[Header] | None = None,
        timestamp_ms: int = 0,
    ) -> None:
        """Put records on the raw topic and remember where they are."""
        producer = Producer(
            {"bootstrap.servers": self.servers, "linger.ms": 5, "message.max.bytes": 8_000_000}
        )

        def delivered(error: object, message: Message) -> None:
            assert error is None, error
            if message.value() is not None:
                self.raw.add((message.partition(), message.offset()))

        for key, value in records:
            producer.produce(
                self.raw_topic,
                value,
                key,
                headers=headers or [],
                timestamp=timestamp_ms,
                on_delivery=delivered,
            )
            producer.poll(0)
        assert producer.flush(30) == 0

    def start_worker(
        self, slot: str, *arguments: str, device: Path | None = None, **more: object
    ) -> WorkerProcess:
        """`newsieve worker` with these arguments and settings, on a device that can break."""
        log = self.folder / f"worker-{slot}-{len(self.workers)}.log"
        environment = self.environment(worker__slot=slot, **more)
        worker = WorkerProcess(log, environment, *arguments, device=device)
        self.workers.append(worker)
        return worker

    def reader(self) -> CommittedReader:
        return CommittedReader(self.servers, self.prefix)

    def committed(self) -> dict[int, int]:
        """The group's committed offsets of the raw topic."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": self.prefix})
        partitions = (
            consumer.list_topics(self.raw_topic, timeout=20).topics[self.raw_topic].partitions
        )
        found = consumer.committed(
            [TopicPartition(self.raw_topic, p) for p in partitions], timeout=20
        )
        consumer.close()
        return {item.partition: item.offset for item in found if item.offset >= 0}

    def wait_until_committed(self, seconds: float = 60) -> None:
        """Wait until the group has committed all raw records."""
        deadline = time.monotonic() + seconds
        while self.committed() != self.raw_ends():
            assert time.monotonic() < deadline, f"only {self.committed()} of {self.raw_ends()}"
            time.sleep(0.1)

    def raw_ends(self) -> dict[int, int]:
        """One past the last raw record, by partition with records."""
        ends: dict[int, int] = {}
        for partition, offset in self.raw:
            ends[partition] = max(ends.get(partition, 0), offset + 1)
        return ends

    def committed_end(self, topic: str) -> int:
        """How far a read_committed reader could read, over all partitions."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "ends"})
        partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
        places = [TopicPartition(topic, partition) for partition in partitions]
        end = sum(consumer.get_watermark_offsets(place, timeout=20)[1] for place in places)
        consumer.close()
        return end

    def close(self) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.kill()
