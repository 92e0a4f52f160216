"""A stream of requests for one test of the oracle: its processes, what they publish."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from newsieve_schemas.oracle import OracleScore
from tests.support.oracle_server import OracleServer
from tests.support.stream import Stream
from tests.support.workers import OracleProcess

KEY = "sk-do-not-print-this-key"
PARTITIONS = 6


@dataclass
class Published:
    """What a read_committed subscriber sees."""

    labels: list[OracleScore] = field(default_factory=list)
    raw_labels: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    letters: list[dict[str, str]] = field(default_factory=list)
    letter_bodies: list[tuple[bytes | None, bytes | None]] = field(default_factory=list)
    notes: list[bytes] = field(default_factory=list)


class OracleStream(Stream):
    """Requests in, scores out."""

    @property
    def group(self) -> str:
        return f"{self.prefix}-oracle"

    @property
    def requests_topic(self) -> str:
        return f"{self.prefix}.oracle.requests"

    def start_oracle(self, server: OracleServer, **more: object) -> OracleProcess:
        settings: dict[str, object] = {
            "oracle__provider": "gemini",
            "oracle__model": "oracle",
            "oracle__endpoint": server.url,
            "oracle__api_key": KEY,
            "oracle__group": self.group,
            "oracle__slot": "0",
            "oracle__calls_per_day": 1_000,
            "oracle__input_usd_per_million": 1.0,
            "oracle__output_usd_per_million": 4.0,
            **more,
        }
        log = self.folder / f"oracle-{len(self.workers)}.log"
        oracle = OracleProcess(log, self.environment(**settings))
        self.workers.append(oracle)
        return oracle

    def ask(self, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Put requests on their topic."""
        producer = Producer(
            {"bootstrap.servers": self.servers, "linger.ms": 5, "enable.idempotence": True}
        )
        for key, value in records:
            producer.produce(self.requests_topic, value, key)
        assert producer.flush(30) == 0

    def published(self, count: int, seconds: float = 60) -> Published:
        """All there is, once it is at least so many scores and letters."""
        deadline = time.monotonic() + seconds
        while True:
            found = self._read()
            if len(found.labels) + len(found.letters) >= count:
                return found
            assert time.monotonic() < deadline, f"{len(found.labels)}, {len(found.letters)}"
            time.sleep(0.3)

    def read_offsets(self) -> int:
        """How many requests the group has behind it."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": self.group})
        wanted = [TopicPartition(self.requests_topic, p) for p in range(PARTITIONS)]
        found = consumer.committed(wanted, timeout=20)
        consumer.close()
        return sum(item.offset for item in found if item.offset > 0)

    def _read(self) -> Published:
        topics = ("oracle.scores", "dead-letter", "control")
        consumer = Consumer(
            {
                "bootstrap.servers": self.servers,
                "group.id": f"reader-{self.prefix}",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        places = [
            TopicPartition(f"{self.prefix}.{topic}", partition, 0)
            for topic in topics
            for partition in range(PARTITIONS if topic != "control" else 1)
        ]
        consumer.assign(places)
        found, unread = Published(), {(place.topic, place.partition) for place in places}
        while unread:
            for message in consumer.consume(500, 0.2):
                if message.error() is not None:
                    unread.discard((message.topic(), message.partition()))
                else:
                    self._add(found, message)
        consumer.close()
        return found

    @staticmethod
    def _add(found: Published, message: Message) -> None:
        headers = {name: (value or b"").decode() for name, value in message.headers() or []}
        if message.topic().endswith(".dead-letter"):
            found.letters.append(headers)
            found.letter_bodies.append((message.key(), message.value()))
        elif message.topic().endswith(".control"):
            found.notes.append(message.value())
        else:
            found.labels.append(OracleScore.model_validate(json.loads(message.value())))
            found.raw_labels.append(message.value())
            found.headers.append(headers)
