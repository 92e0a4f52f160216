"""One run of the demo: sends articles, and reads outcomes, labels and alerts back.

It works with topics and consumer groups. Which programs run this module does not know.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from newsieve.bootstrap.drift import INPUTS
from newsieve.demo.outcome_check import OutcomeCheck
from newsieve.demo.processes import DemoFailed
from newsieve.devbroker.java_broker import ENVIRONMENT
from newsieve.filters.registry import Filter
from newsieve.kafka.admin import TopicAdmin
from newsieve.kafka.config import Cluster
from newsieve.kafka.messages import StoredRecord
from newsieve.kafka.producer import PlainProducer
from newsieve.kafka.topic_reader import Reader, start_group_at_end
from newsieve.records.dead_letter import explanation
from newsieve.records.decode import record_key
from newsieve_schemas.topics import (
    DEAD_LETTER,
    DEFAULT_PREFIX,
    DRIFT_ALERTS,
    ORACLE_REQUESTS,
    ORACLE_SCORES,
    RAW,
    SCORED,
    Topic,
    topic_name,
)

SILENCE_SECONDS: Final = 120  # without anything new: something is wrong
READ: Final = (RAW, SCORED, DEAD_LETTER, ORACLE_SCORES, DRIFT_ALERTS)
MONITOR: Final = "monitor"


@dataclass
class DemoRun:
    """What one demo has sent and read. Times are in seconds."""

    cluster: Cluster
    prefix: str
    filters: Sequence[Filter]
    group: str = field(default_factory=lambda: f"newsieve-demo-{secrets.token_hex(3)}")
    workers: int = 0
    records: int = 0
    start_seconds: float = 0.0
    stream_seconds: float = 0.0
    labels: int = 0  # of articles, without those of anchors
    outcomes: OutcomeCheck = field(init=False)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    _reader: Reader | None = None

    def __post_init__(self) -> None:
        self.outcomes = OutcomeCheck([item.name for item in self.filters])

    def topic(self, suffix: str) -> str:
        """Return a topic's name by its suffix."""
        return topic_name(self.prefix, suffix)

    def environment(self) -> dict[str, str]:
        """Return the environment variables that all programs of the demo need."""
        variables = {
            ENVIRONMENT: self.cluster.bootstrap_servers,
            "NEWSIEVE_WORKER__GROUP": self.group,
            "NEWSIEVE_WORKER__FILTERS": ",".join(item.reference for item in self.filters),
        }
        if self.prefix != DEFAULT_PREFIX:
            variables["NEWSIEVE_KAFKA__TOPIC_PREFIX"] = self.prefix
        return variables

    def prepare(self, topics: Sequence[Topic]) -> None:
        """Create the topics, and let the groups of this run start at their present end."""
        TopicAdmin(self.cluster).create(topics)
        start_group_at_end(self.cluster, self.group, self.topic(RAW))
        start_group_at_end(self.cluster, f"{self.group}-oracle", self.topic(ORACLE_REQUESTS))
        for suffix in INPUTS:
            start_group_at_end(self.cluster, f"{self.group}-drift", self.topic(suffix))
        self._reader = Reader(self.cluster, [self.topic(suffix) for suffix in READ])
        self._reader.start(self._reader.ends)

    def stream(
        self,
        articles: Iterable[bytes],
        require_alive: Callable[[], object],
        advance: Callable[[int], None],
    ) -> None:
        """Produce the articles and read their outcomes back as a subscriber would.

        Raises DemoFailed when outcomes stay away, and what `require_alive` raises.
        """
        started_at = time.monotonic()
        with PlainProducer(self.cluster, self.topic(RAW)) as producer:
            for line in articles:
                producer.send(record_key(line), line)
        self.records += producer.delivered

        def is_complete() -> bool:
            return len(self.outcomes.raw) == self.records and self.outcomes.is_complete

        self.wait(is_complete, "no outcome", require_alive, advance)
        self.stream_seconds += time.monotonic() - started_at

    def wait(
        self,
        is_over: Callable[[], bool],
        complaint: str,
        require_alive: Callable[[], object],
        advance: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Read on until `is_over` says so. Raises DemoFailed when nothing comes for long, and what
        `require_alive` raises."""
        last_read_at = time.monotonic()
        while not is_over():
            require_alive()
            records = self._read()
            if records:
                last_read_at = time.monotonic()
                advance(sum(record.partition[0] in self._outcome_topics for record in records))
            elif time.monotonic() - last_read_at > SILENCE_SECONDS:
                raise DemoFailed(f"{complaint} for {SILENCE_SECONDS} s")

    def close(self) -> None:
        """Read for a last moment, in which an outcome that is there twice would come, then stop."""
        self._read(1.0)
        if self._reader is not None:
            self._reader.close()

    @property
    def labels_wanted(self) -> int:
        """How many outcomes were selected for the oracle."""
        drawn = [item["sampling"] for item in self.outcomes.scored if item["sampling"] is not None]
        return sum(item["selected"] for item in drawn)

    @property
    def _outcome_topics(self) -> tuple[str, str]:
        return self.topic(SCORED), self.topic(DEAD_LETTER)

    def _read(self, seconds: float = 0.2) -> list[StoredRecord]:
        records = self._reader.poll(seconds) if self._reader is not None else []
        now = time.time()
        for record in records:
            self._count(record, now)
        return records

    def _count(self, record: StoredRecord, now: float) -> None:
        topic, partition = record.partition
        if topic == self.topic(RAW):
            self.outcomes.raw.add((partition, record.offset))
            return
        if topic == self.topic(DEAD_LETTER):
            self.outcomes.add_letter(dict(explanation(record.record.headers)))
            return
        value: dict[str, Any] = json.loads(record.record.value)
        if topic == self.topic(SCORED):
            sent_at = dt.datetime.fromisoformat(value["input"]["timestamp"])
            self.outcomes.add_scored(value, now - sent_at.timestamp())
        elif topic == self.topic(DRIFT_ALERTS):
            self.alerts.append(value)
        elif value["sampling"]["purpose"] == MONITOR:
            self.labels += 1
