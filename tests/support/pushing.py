"""Records for tests of pushing, as they are consumed, and a source and an observer of them."""

from __future__ import annotations

import json
import time
from typing import Any

from newsieve.errors import BrokerUnavailable
from newsieve.kafka.messages import ConsumedRecord, StoredRecord
from newsieve.programs.pushing.events import Attempt
from newsieve.records.decode import RawRecord

TOPIC = "articles.tier.uplifting.connection"


def stored(
    value: bytes | dict[str, Any],
    headers: dict[str, bytes] | None = None,
    offset: int = 7,
    partition: int = 1,
) -> StoredRecord:
    """A record at a place; a dict becomes JSON."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    record = RawRecord(raw, b"k", list((headers or {}).items()), 1_700_000_000_000, {})
    return ConsumedRecord(record, (TOPIC, partition), offset, 1)


EVENT = {
    "ce_specversion": b"1.0",
    "ce_type": b"newsieve.article.tiered.v1",
    "ce_source": b"newsieve/worker/newsieve",
    "ce_id": b"0b6a5c3e-52f1-5d7a-8c39-6e0f4a1d9b27",
    "ce_time": b"2026-11-30T12:00:00.000Z",
    "content-type": b"application/json",
    "filter": b"uplifting",
    "tier": b"connection",
}
ARTICLE: dict[str, Any] = {
    "article": {
        "id": "a1",
        "title": "A bridge is built",
        "url": "https://example.org/bridge?a=1&b=2",
        "source": "Example.org",
        "language": "en",
    },
    "filter": "uplifting",
    "filter_version": "v4",
    "scores": {"agency": 3.0, "progress": 7.25, "benefit": 6.0, "depth": 1.0},
    "score": 6.53,
    "gates": [],
    "caps": ["commercial"],
    "tier": "connection",
}
ALERT: dict[str, Any] = {
    "state": "alert",
    "severity": "critical",
    "filter": "uplifting",
    "filter_version": "v4",
    "scope": "low",
    "cause": "concept_drift",
    "headline": "The student errs more",
    "action": {"text": "Retrain it.", "runbook": "https://example.org/runbook.md#drift"},
    "repeated": False,
}


class Source:
    """Records in a list; a record may be taken away while it waits."""

    def __init__(self, count: int) -> None:
        self.items = [stored(ARTICLE, offset=offset) for offset in range(count)]
        self.next = self.done = self.committed = self.waits = 0
        self.is_lost_after_waits: int | None = None
        self.is_broken = False

    @property
    def is_at_end(self) -> bool:
        return self.next == len(self.items)

    def poll(self, seconds: float) -> StoredRecord | None:  # noqa: ARG002
        self.next += 1
        return self.items[self.next - 1]

    def wait(self, seconds: float) -> None:
        self.waits += 1
        time.sleep(min(seconds, 0.01))

    def is_current(self, item: StoredRecord) -> bool:  # noqa: ARG002
        return self.is_lost_after_waits is None or self.waits < self.is_lost_after_waits

    def handled(self, item: StoredRecord) -> None:
        assert item.offset == self.done, "out of order"
        self.done = item.offset + 1

    def commit(self) -> None:
        if self.is_broken:
            raise BrokerUnavailable("not committed: no coordinator")
        self.committed = self.done


class Observer:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self.failed_commits: list[str] = []
        self.passed: list[int] = []

    def heartbeat(self) -> None: ...

    def attempted(self, attempt: Attempt, seconds: float) -> None: ...

    def delivered(self, item: StoredRecord) -> None: ...

    def passed_over(self, item: StoredRecord) -> None:
        self.passed.append(item.offset)

    def retried(self, item: StoredRecord, reason: str, pause_seconds: float) -> None:  # noqa: ARG002
        self.pauses.append(pause_seconds)

    def commit_failed(self, reason: str) -> None:
        self.failed_commits.append(reason)

    def committed(self) -> None: ...
