"""A stream for one test of the drift monitor: given records in, alerts out, its processes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from newsieve_schemas.drift import DriftAlert
from tests.support.drift_records import Given
from tests.support.stream import Stream
from tests.support.workers import WorkerProcess


class DriftProcess(WorkerProcess):
    """`newsieve drift` in a process of its own."""

    command = "drift"


class TailProcess(DriftProcess):
    """`newsieve drift tail`, for a command."""

    def __init__(self, log: Path, environment: Mapping[str, str], command: str) -> None:
        super().__init__(log, environment, "tail", "--from-beginning", "--exec", command)


class DriftStream(Stream):
    """Given records in, alerts out."""

    def give(self, records: Iterable[Given]) -> None:
        """Put them on their topics, in this order."""
        producer = Producer(
            {"bootstrap.servers": self.servers, "linger.ms": 5, "enable.idempotence": True}
        )
        for record in records:
            producer.produce(
                f"{self.prefix}.{record.topic}", record.value, record.key, timestamp=record.at
            )
        assert producer.flush(30) == 0

    def start_monitor(self, slot: str = "0", **more: object) -> DriftProcess:
        settings: dict[str, object] = {
            "drift__group": f"{self.prefix}-drift",
            "drift__slot": slot,
            "drift__commit_seconds": 0.5,
            **more,
        }
        log = self.folder / f"drift-{len(self.workers)}.log"
        monitor = DriftProcess(log, self.environment(**settings))
        self.workers.append(monitor)
        return monitor

    def start_tail(self, command: str) -> TailProcess:
        log = self.folder / f"tail-{len(self.workers)}.log"
        bridging = TailProcess(log, self.environment(), command)
        self.workers.append(bridging)
        return bridging

    def alerts(self, count: int = 0, seconds: float = 30) -> list[dict[str, Any]]:
        """All alerts there are, once there are so many."""
        deadline = time.monotonic() + seconds
        while True:
            found = [json.loads(value) for _, value in self.read("drift.alerts")]
            if len(found) >= count:
                for alert in found:
                    DriftAlert.model_validate_json(json.dumps(alert), extra="forbid")
                return found
            assert time.monotonic() < deadline, [alert["headline"] for alert in found]
            time.sleep(0.2)

    def settled_alerts(self) -> list[dict[str, Any]]:
        """All of them, once no monitor has anything left to do."""
        count = 0
        while count != len(found := self.alerts(1)):
            count = len(found)
            time.sleep(1.5)  # several commits
        return found

    def states(self) -> dict[bytes, dict[str, Any]]:
        """The latest of each key."""
        latest = dict(self.read("drift.state"))
        return {key: json.loads(value) for key, value in latest.items() if value}

    def read(self, topic: str) -> list[tuple[bytes, bytes]]:
        """Keys and values of a topic's committed records, a partition after another."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.servers,
                "group.id": f"reader-{self.prefix}",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
            }
        )
        name = f"{self.prefix}.{topic}"
        numbers = consumer.list_topics(name, timeout=20).topics[name].partitions
        consumer.assign([TopicPartition(name, number, 0) for number in numbers])
        unread, found = set(numbers), []
        while unread:
            for message in consumer.consume(500, 0.2):
                if message.error() is not None:
                    unread.discard(message.partition())
                else:
                    found.append((message.partition(), message.key(), message.value()))
        consumer.close()
        return [(key, value) for _, key, value in sorted(found, key=lambda item: item[0])]
