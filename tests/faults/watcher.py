"""A read_committed reader that follows a storm live and remembers just enough to judge it.

Shares no code with the worker.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

Place = tuple[int, int]  # partition and offset of a raw record
Fate = tuple[str, str | None]  # scored, blocked or dead_letter; the article's url, when decoded
PARTITIONS = 6


@dataclass
class Seen:
    """What a subscriber of all output topics has seen."""

    outcomes: Counter[tuple[Place, str]] = field(default_factory=Counter)  # by place and filter
    fates: dict[Place, Fate] = field(default_factory=dict)
    records: set[tuple[str, int, int]] = field(default_factory=set)  # of the output topics
    last_of_article: dict[tuple[str, str], Place] = field(default_factory=dict)
    out_of_order: int = 0
    # By partition of the raw topic: all offsets below have an outcome; those beyond that have.
    done_below: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    beyond: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    scored_at: dict[int, str] = field(default_factory=lambda: defaultdict(str))  # the latest

    def add(self, topic: str, message: Message) -> None:
        """Count one record of an output topic, given without its prefix."""
        self.records.add((topic, message.partition(), message.offset()))
        if topic == "scored":
            value = json.loads(message.value())
            place = (value["input"]["partition"], value["input"]["offset"])
            article = (value["article"]["id"], value["filter"])
            self.out_of_order += self.last_of_article.get(article, place) > place
            self.last_of_article[article] = place
            self.scored_at[place[0]] = max(self.scored_at[place[0]], value["scored_at"])
            self._outcome(place, value["filter"])
            self.fates[place] = (value["outcome"], value["article"]["url"])
        elif topic == "dead-letter":
            why = {name: (text or b"").decode() for name, text in message.headers() or []}
            place = (int(why["dlq.partition"]), int(why["dlq.offset"]))
            self._outcome(place, why.get("dlq.filter", ""))
            self.fates[place] = ("dead_letter", None)

    def highest(self, partition: int) -> int:
        """The highest offset of a raw partition that has an outcome; -1 for none."""
        return max(self.beyond[partition], default=self.done_below[partition] - 1)

    def _outcome(self, place: Place, filter_name: str) -> None:
        self.outcomes[place, filter_name] += 1
        partition, offset = place
        beyond = self.beyond[partition]
        if offset >= self.done_below[partition]:
            beyond.add(offset)
        while self.done_below[partition] in beyond:
            beyond.remove(self.done_below[partition])
            self.done_below[partition] += 1


class Watcher:
    """Follows all output topics of a prefix, in a thread, through any outage of the broker."""

    def __init__(self, bootstrap_servers: str, prefix: str) -> None:
        self.seen = Seen()
        self.trouble: Counter[str] = Counter()  # what kept the reader itself from reading
        self._prefix = prefix
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": f"watcher-{prefix}",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "reconnect.backoff.max.ms": 500,
            },
            logger=silent(),
        )
        inputs = {f"{prefix}.raw", f"{prefix}.control"}
        self._partitions = [
            TopicPartition(name, partition, 0)
            for name, topic in self._consumer.list_topics(timeout=20).topics.items()
            if name.startswith(f"{prefix}.") and name not in inputs
            for partition in topic.partitions
        ]
        self._consumer.assign(self._partitions)
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def seconds_until_all_move(self, since: float, patience: float) -> float:
        """Until every raw partition has an outcome that was made after `since` (a wall clock).

        Raises AssertionError after `patience` seconds.
        """
        stamp = dt.datetime.fromtimestamp(since, dt.UTC).isoformat(timespec="milliseconds")[:23]
        while True:
            resting = [p for p in range(PARTITIONS) if self.seen.scored_at[p][:23] <= stamp]
            if not resting:
                return time.time() - since
            assert time.time() - since < patience, (
                f"partitions {resting} do not move; the reader met {dict(self.trouble)}"
            )
            time.sleep(0.05)

    def wait_for(self, ends: dict[int, int], patience: float) -> None:
        """Until every raw record below these offsets has an outcome. Raises AssertionError."""
        deadline = time.monotonic() + patience
        while True:
            behind = {p: end for p, end in ends.items() if self.seen.done_below[p] < end}
            if not behind:
                return
            assert time.monotonic() < deadline, (
                f"wanted {behind}, have {dict(self.seen.done_below)}"
            )
            time.sleep(0.1)

    def close(self) -> None:
        self._is_closed.set()
        self._thread.join()
        self._consumer.close()

    def _follow(self) -> None:
        while not self._is_closed.is_set():
            try:
                messages = self._consumer.consume(500, 0.1)
            except KafkaException as failure:
                self.trouble[str(failure)] += 1
                continue
            for message in messages:
                error = message.error()
                if error is None:
                    topic = message.topic().removeprefix(f"{self._prefix}.")
                    self.seen.add(topic, message)
                else:
                    self.trouble[error.str()] += 1


def silent() -> object:
    """Outages are the point; librdkafka need not mention them."""
    import logging

    logger = logging.getLogger("watcher")
    logger.disabled = True
    return logger
