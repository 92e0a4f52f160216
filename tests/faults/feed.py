"""The feed that keeps workers busy, and what has to become of each of its records."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from confluent_kafka import Message, Producer

from tests.faults.watcher import Fate, Place, silent
from tests.support.articles import raw_records
from tests.support.stream import Stream

KEYS = 600
STEP_SECONDS = 0.05


class Feed:
    """Raw records at a steady rate, in the order of their keys, through any outage."""

    def __init__(self, stream: Stream, per_second: int) -> None:
        self._topic = stream.raw_topic
        self._per_second = per_second
        self._producer = Producer(
            {
                "bootstrap.servers": stream.servers,
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "linger.ms": 5,
                "reconnect.backoff.max.ms": 500,
            },
            logger=silent(),
        )
        self._records = raw_records(10**9, keys=KEYS)
        self._errors: Counter[str] = Counter()
        self._adding = threading.Lock()
        self.ends: dict[int, int] = {}
        self.fates: dict[Place, Fate] = {}  # what has to become of the record at a place
        self.is_paused = False
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, count: int) -> None:
        """A backlog, at once."""
        self._put((key, value, fate_of(value)) for key, value in self._take(count))

    def add_bad(self, values: Iterable[bytes]) -> None:
        """Records that have to end as dead letters, at once, among the others."""
        self._put((str(i).encode(), v, ("dead_letter", None)) for i, v in enumerate(values))

    def close(self) -> None:
        """Deliver what is left."""
        self._is_closed.set()
        self._thread.join()
        assert self._producer.flush(60) == 0
        assert not self._errors, self._errors

    def _take(self, count: int) -> list[tuple[bytes, bytes]]:
        with self._adding:
            return list(itertools.islice(self._records, count))

    def _put(self, records: Iterable[tuple[bytes, bytes, Fate]]) -> None:
        with self._adding:
            for key, value, fate in records:
                self._producer.produce(
                    self._topic,
                    value,
                    key,
                    on_delivery=lambda error, message, fate=fate: self._delivered(
                        error, message, fate
                    ),
                )
                self._producer.poll(0)

    def _run(self) -> None:
        while not self._is_closed.is_set():
            started = time.monotonic()
            if not self.is_paused:
                self.add(int(self._per_second * STEP_SECONDS))
            self._producer.poll(0)
            time.sleep(max(0.0, STEP_SECONDS - (time.monotonic() - started)))

    def _delivered(self, error: Any, message: Message, fate: Fate) -> None:
        if error is not None:
            self._errors[str(error)] += 1
            return
        partition, offset = message.partition(), message.offset()
        self.fates[partition, offset] = fate
        self.ends[partition] = max(self.ends.get(partition, 0), offset + 1)


def fate_of(value: bytes) -> Fate:
    """Read from the record, not from what the worker's rules say of it."""
    try:
        url = json.loads(value)["url"]
    except (ValueError, TypeError, KeyError):
        return "dead_letter", None
    return ("blocked" if "//arxiv.org/" in url else "scored"), url
