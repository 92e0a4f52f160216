"""Others at a broker: who sits in our consumer group, and who writes batches that unfold."""

from __future__ import annotations

import json
import socket
import struct
import threading
from dataclasses import dataclass

from confluent_kafka import Consumer, Producer

STRANGER = "billing-report"
TEXT_BYTES = 3_900_000  # a legal article's
BOMB_RECORDS = 100
JOIN_GROUP, JOIN_VERSION = 11, 2  # of Kafka's protocol


@dataclass
class Squatter:
    """A consumer of somebody else's, with our group id."""

    servers: str
    group: str
    topic: str
    options: dict[str, str]

    def __post_init__(self) -> None:
        ours = {"bootstrap.servers": self.servers, "group.id": self.group, "client.id": STRANGER}
        self.consumer = Consumer(ours | self.options)
        self.is_over = threading.Event()
        self.is_there = threading.Event()
        self.consumer.subscribe([self.topic], on_assign=lambda *_: self.is_there.set())
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()

    def _poll(self) -> None:
        while not self.is_over.is_set():
            self.consumer.poll(0.1)

    def close(self) -> None:
        self.is_over.set()
        self._thread.join()
        self.consumer.close()


def join_as(servers: str, group: str, protocol: str) -> socket.socket:
    """Take a group id for what is no group of consumers, as Kafka Connect does."""

    def text(value: str) -> bytes:
        return struct.pack(">h", len(value)) + value.encode()

    timeouts = struct.pack(">ii", 300_000, 300_000)
    offered = struct.pack(">i", 1) + text("default") + struct.pack(">i", 0)
    body = text(group) + timeouts + text("") + text(protocol) + offered
    request = struct.pack(">hhi", JOIN_GROUP, JOIN_VERSION, 1) + text(STRANGER) + body
    host, _, port = servers.partition(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    connection.sendall(struct.pack(">i", len(request)) + request)
    assert connection.recv(4)
    return connection


def unfolding(servers: str, topic: str, codec: str, partition: int) -> None:
    """One batch of some kilobytes that unfolds to BOMB_RECORDS legal articles."""
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "compression.type": codec,
            "message.max.bytes": 999_000_000,
            "batch.size": 999_000_000,
            "queue.buffering.max.kbytes": 1_000_000,
            "linger.ms": 5_000,
        }
    )
    text = "a" * TEXT_BYTES
    for number in range(BOMB_RECORDS):
        value = json.dumps({"id": f"{codec}-{number}", "title": "A bridge", "content": text})
        producer.produce(topic, value, b"k", partition=partition)
    assert producer.flush(60) == 0
