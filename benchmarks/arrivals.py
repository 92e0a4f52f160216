"""An open-loop producer of articles, and the clock that notes when their outcomes become visible.

Records are sent when they are due, whether or not the worker keeps up, as a newsroom does. It knows
neither which worker answers nor what the outcomes say.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from tests.support.raw_topic import readable

FETCH_MILLISECONDS = 20  # how long the broker may hold an empty answer back from the clock


def read_articles(file: Path, most: int) -> list[dict[str, object]]:
    """The file's first articles that can be scored, so that each has one outcome."""
    lines = file.read_bytes().splitlines()
    found = [json.loads(line) for line in lines if (readable(line) or "").strip()]
    return found[:most]


class Feeder:
    """Sends articles under numbered ids, and remembers the timestamp of each record."""

    def __init__(self, servers: str, topic: str, articles: Sequence[Mapping[str, object]]) -> None:
        self.sent_ms: dict[str, int] = {}  # by article id, as the broker acknowledged it
        self._topic = topic
        self._articles = articles
        self._numbers = count()
        self._producer = Producer({"bootstrap.servers": servers, "acks": "all", "linger.ms": 0})

    def send(self, articles: int) -> list[str]:
        """Send so many articles at once; return their ids once the broker has them."""
        ids = [self._send_one() for _ in range(articles)]
        self._producer.flush()
        return ids

    def feed(self, rate: float, seconds: float, stop: threading.Event | None = None) -> list[str]:
        """Send articles at random moments, `rate` a second on average, for so long or until told
        to stop; return their ids once the broker has them."""
        begin = time.monotonic()
        ids = []
        for due in _moments(rate, seconds):
            if stop is not None and stop.is_set():
                break
            while (wait := begin + due - time.monotonic()) > 0:
                self._producer.poll(min(wait, 0.05))
            ids.append(self._send_one())
            self._producer.poll(0)
        self._producer.flush()
        return ids

    def close(self) -> None:
        """Wait until the broker has all, and end the producer."""
        self._producer.flush()
        del self._producer

    def _send_one(self) -> str:
        number = next(self._numbers)
        key = f"bench-{number}"
        article = {**self._articles[number % len(self._articles)], "id": key}
        self._producer.produce(
            self._topic, json.dumps(article).encode(), key.encode(), on_delivery=self._delivered
        )
        return key

    def _delivered(self, error: object, message: Message) -> None:
        assert error is None, error
        self.sent_ms[message.key().decode()] = message.timestamp()[1]


def _moments(rate: float, seconds: float) -> Iterator[float]:
    """Arrivals of a Poisson process, the same in every run."""
    gaps = random.Random(0)
    due = gaps.expovariate(rate)
    while due < seconds:
        yield due
        due += gaps.expovariate(rate)


class OutcomeClock:
    """Notes on a thread of its own when each outcome reaches a read_committed consumer."""

    def __init__(self, servers: str, topic: str) -> None:
        self.seen_at: dict[str, float] = {}  # by article id, the wall clock's seconds
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": f"clock-{topic}",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": FETCH_MILLISECONDS,
            }
        )
        known = self._consumer.list_topics(topic, timeout=20).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, partition, 0) for partition in known])
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def missing(self, ids: Sequence[str]) -> int:
        """How many of these have no outcome yet."""
        return sum(key not in self.seen_at for key in ids)

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()
        self._consumer.close()

    def _follow(self) -> None:
        while not self._is_over.is_set():
            message = self._consumer.poll(0.1)
            if message is not None and message.error() is None:
                self.seen_at.setdefault(message.key().decode(), time.time())
