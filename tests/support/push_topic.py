"""A tier's topic with records of our own, and `newsieve push` of it."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support.cli import Result, newsieve
from tests.support.webhook_server import Request, WebhookServer
from tests.support.workers import WorkerProcess

PARTITIONS = 2
QUICK = {"NEWSIEVE_PUSH__MAX_BACKOFF_SECONDS": "0.2"}
"""Pauses of a fifth of a second at most: each failure is tried again at once."""


SAME_MEMBER = {"NEWSIEVE_KAFKA__OPTIONS": '{"group.instance.id": "a"}'}
"""A process that takes the place of a killed one at once, and not after its session time-out."""


BRISK = {"NEWSIEVE_KAFKA__OPTIONS": '{"heartbeat.interval.ms": 200}'}
"""Members that hear of a rebalance at once."""
IMPATIENT = {
    "NEWSIEVE_KAFKA__OPTIONS": '{"max.poll.interval.ms": 6000, "session.timeout.ms": 6000}'
}
"""Members that lose their partitions after 6 s, the least that brokers take, without a poll."""


class PushProcess(WorkerProcess):
    """`newsieve push` in a process of its own."""

    command = "push"


class Topic:
    """A tier's topic with records of our own, and what was sent to it."""

    def __init__(self, servers: str, prefix: str) -> None:
        self.prefix, self.name = prefix, f"{prefix}.tier.uplifting.connection"
        self.group = f"{prefix}-push"
        self.servers = servers
        admin = AdminClient({"bootstrap.servers": servers})
        admin.create_topics([NewTopic(self.name, PARTITIONS, 1)])[self.name].result(20)
        self._producer = Producer({"bootstrap.servers": servers, "linger.ms": 0})
        self._numbers = itertools.count()

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": self.servers,
            "NEWSIEVE_KAFKA__TOPIC_PREFIX": self.prefix,
            **QUICK,
            **more,
        }

    def produce(self, count: int, **fields: Any) -> list[str]:
        """Put records on both partitions in turn; return their ids."""
        events = []
        for _ in range(count):
            number = next(self._numbers)
            event = f"event-{number}"
            value = json.dumps(article(number) | fields).encode()
            headers = {
                "ce_specversion": "1.0",
                "ce_type": "newsieve.article.tiered.v1",
                "ce_source": "newsieve/worker/test",
                "content-type": "application/json",
                "filter": "uplifting",
                "tier": "connection",
                "ce_id": event,
            }
            self._producer.produce(
                self.name, value, f"k{number}", number % PARTITIONS, headers=headers
            )
            events.append(event)
        assert self._producer.flush(20) == 0
        return events

    def committed(self) -> int:
        """How many records the group has behind it."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": self.group})
        places = [TopicPartition(self.name, number) for number in range(PARTITIONS)]
        found = consumer.committed(places, timeout=20)
        consumer.close()
        return sum(max(item.offset, 0) for item in found)

    def push(self, server: WebhookServer, *options: str, **more: str) -> Result:
        """Run the command in this process up to the present end."""
        ways = ["--group", self.group, "--from-beginning", "--until-end"]
        return newsieve(
            "push", "--topic", self.name, "--to", server.url, *ways, *options,
            env=self.environment(**more),
        )  # fmt: skip

    def start(self, log: Path, server: WebhookServer, **more: str) -> PushProcess:
        """Start the command in a process of its own."""
        ways = ["--topic", self.name, "--to", server.url, "--group", self.group]
        return PushProcess(log, self.environment(**more), *ways, "--from-beginning")


def article(number: int) -> dict[str, Any]:
    return {
        "article": {"id": f"a{number}", "title": f"Title {number}", "source": "example.org"},
        "filter": "uplifting",
        "tier": "connection",
        "score": number % 10 + 0.5,
    }


def numbers_of(requests: Sequence[Request]) -> dict[int, list[int]]:
    """The records' numbers in the order of their first delivery, by partition."""
    found: dict[int, list[int]] = defaultdict(list)
    for request in requests:
        number = int(request.event.removeprefix("event-"))
        if number not in found[number % PARTITIONS]:
            found[number % PARTITIONS].append(number)
    return found


def require_in_order(requests: Sequence[Request], events: Sequence[str]) -> None:
    """Assert that every record was delivered, and each partition's in order."""
    assert {item.event for item in requests} == set(events)
    for numbers in numbers_of(requests).values():
        assert numbers == sorted(numbers)
