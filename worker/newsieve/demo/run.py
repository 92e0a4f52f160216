"""One run of the demo: topics, own groups, articles in; outcomes, labels, alerts read back."""

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
    """What the demo did. Times in seconds."""

    cluster: Cluster
    prefix: str
    filters: Sequence[Filter]
    group: str = field(default_factory=lambda: f"newsieve-demo-{secrets.token_hex(3)}")
    workers: int = 0
    records: int = 0
    start_seconds: float = 0.0
    stream_seconds: float = 0.0
    labels: int = 0  # of articles; anchors apart
    ledger: OutcomeCheck = field(init=False)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    _reader: Reader | None = None

    def __post_init__(self) -> None:
        self.ledger = OutcomeCheck([item.name for item in self.filters])

    def topic(self, suffix: str) -> str:
        return topic_name(self.prefix, suffix)

    def environment(self) -> dict[str, str]:
        """What all programs need to know."""
        known = {
            ENVIRONMENT: self.cluster.bootstrap_servers,
            "NEWSIEVE_WORKER__GROUP": self.group,
            "NEWSIEVE_WORKER__FILTERS": ",".join(item.reference for item in self.filters),
        }
        if self.prefix != DEFAULT_PREFIX:
            known["NEWSIEVE_KAFKA__TOPIC_PREFIX"] = self.prefix
        return known

    def prepare(self, topics: Sequence[Topic]) -> None:
        """Create the topics; let the run's groups start at their present end."""
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
        with PlainProducer(self.cluster, self.topic(RAW)) as feeder:
            for line in articles:
                feeder.send(record_key(line), line)
        self.records += feeder.delivered

        def is_complete() -> bool:
            return len(self.ledger.raw) == self.records and self.ledger.is_complete

        self.wait(is_complete, "no outcome", require_alive, advance)
        self.stream_seconds += time.monotonic() - started_at

    def wait(
        self,
        is_over: Callable[[], bool],
        complaint: str,
        require_alive: Callable[[], object],
        advance: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Read on until it is. Raises DemoFailed after a long silence, and what `require_alive`
        raises."""
        heard_at = time.monotonic()
        while not is_over():
            require_alive()
            found = self._read()
            if found:
                heard_at = time.monotonic()
                advance(sum(item.partition[0] in self._outcomes for item in found))
            elif time.monotonic() - heard_at > SILENCE_SECONDS:
                raise DemoFailed(f"{complaint} for {SILENCE_SECONDS} s")

    def close(self) -> None:
        """What is doubled would come now."""
        self._read(1.0)
        if self._reader is not None:
            self._reader.close()

    @property
    def labels_wanted(self) -> int:
        """Outcomes that were selected for the oracle."""
        drawn = [item["sampling"] for item in self.ledger.scored if item["sampling"] is not None]
        return sum(item["selected"] for item in drawn)

    @property
    def _outcomes(self) -> tuple[str, str]:
        return self.topic(SCORED), self.topic(DEAD_LETTER)

    def _read(self, seconds: float = 0.2) -> list[StoredRecord]:
        found = self._reader.poll(seconds) if self._reader is not None else []
        now = time.time()
        for item in found:
            self._account(item, now)
        return found

    def _account(self, item: StoredRecord, now: float) -> None:
        topic, partition = item.partition
        if topic == self.topic(RAW):
            self.ledger.raw.add((partition, item.offset))
            return
        if topic == self.topic(DEAD_LETTER):
            self.ledger.add_letter(dict(explanation(item.record.headers)))
            return
        facts: dict[str, Any] = json.loads(item.record.value)
        if topic == self.topic(SCORED):
            came = dt.datetime.fromisoformat(facts["input"]["timestamp"])
            self.ledger.add_scored(facts, now - came.timestamp())
        elif topic == self.topic(DRIFT_ALERTS):
            self.alerts.append(facts)
        elif facts["sampling"]["purpose"] == MONITOR:
            self.labels += 1
