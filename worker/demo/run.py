"""One run of the demo: topics, a group of its own, articles in, outcomes read back."""

from __future__ import annotations

import datetime as dt
import json
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.topics import DEAD_LETTER, DEFAULT_PREFIX, RAW, SCORED, Topic, topic_name
from worker.codec.dead_letter import explanation
from worker.codec.decode import record_key
from worker.demo.ledger import Ledger
from worker.demo.stage import DemoFailed
from worker.kafka.admin import TopicAdmin
from worker.kafka.client import Cluster
from worker.kafka.feed import Feeder
from worker.kafka.java_broker import ENVIRONMENT
from worker.kafka.reader import Found, Reader, start_group_at_end
from worker.rules.catalogue import Filter

SILENCE_SECONDS: Final = 120  # without a new outcome: something is wrong


@dataclass
class DemoRun:
    """What the demo did. Times in seconds."""

    cluster: Cluster
    prefix: str
    filters: Sequence[Filter]
    group: str = field(default_factory=lambda: f"newsieve-demo-{secrets.token_hex(3)}")
    workers: int = 0
    records: int = 0
    start_seconds: float = 0.0
    stream_seconds: float = 0.0
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = Ledger([item.name for item in self.filters])

    def topic(self, suffix: str) -> str:
        return topic_name(self.prefix, suffix)

    def environment(self) -> dict[str, str]:
        """What the worker processes need to know."""
        known = {
            ENVIRONMENT: self.cluster.bootstrap_servers,
            "NEWSIEVE_WORKER__GROUP": self.group,
            "NEWSIEVE_WORKER__FILTERS": ",".join(item.reference for item in self.filters),
        }
        if self.prefix != DEFAULT_PREFIX:
            known["NEWSIEVE_KAFKA__TOPIC_PREFIX"] = self.prefix
        return known

    def prepare(self, topics: Sequence[Topic]) -> None:
        """Create the topics; let the run's group start at their present end."""
        TopicAdmin(self.cluster).create(topics)
        start_group_at_end(self.cluster, self.group, self.topic(RAW))

    def stream(
        self,
        articles: Iterable[bytes],
        require_alive: Callable[[], object],
        advance: Callable[[int], None],
    ) -> None:
        """Produce the articles and read their outcomes back as a subscriber would.

        Raises DemoFailed when outcomes stay away, and what `require_alive` raises.
        """
        reader = Reader(self.cluster, [self.topic(s) for s in (RAW, SCORED, DEAD_LETTER)])
        reader.start(reader.ends)
        started_at = heard_at = time.monotonic()
        with Feeder(self.cluster, self.topic(RAW)) as feeder:
            for line in articles:
                feeder.send(record_key(line), line)
        self.records = feeder.delivered
        while len(self.ledger.raw) < self.records or not self.ledger.is_complete:
            require_alive()
            found = reader.poll()
            self._account(found)
            if found:
                heard_at = time.monotonic()
                advance(sum(1 for item in found if item.topic != self.topic(RAW)))
            elif time.monotonic() - heard_at > SILENCE_SECONDS:
                raise DemoFailed(f"no outcome for {SILENCE_SECONDS} s")
        self.stream_seconds = time.monotonic() - started_at
        self._account(reader.poll(1))  # what is doubled would come now
        reader.close()

    def _account(self, found: Sequence[Found]) -> None:
        now = time.time()
        for item in found:
            if item.topic == self.topic(RAW):
                self.ledger.raw.add((item.partition, item.offset))
            elif item.topic == self.topic(DEAD_LETTER):
                self.ledger.add_letter(dict(explanation(item.record.headers)))
            else:
                facts: dict[str, Any] = json.loads(item.record.value)
                came = dt.datetime.fromisoformat(facts["input"]["timestamp"])
                self.ledger.add_scored(facts, now - came.timestamp())
