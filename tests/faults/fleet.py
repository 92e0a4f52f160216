"""Workers under a supervisor, and the feed that keeps them busy."""

from __future__ import annotations

import itertools
import signal
import threading
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Producer

from tests.faults.watcher import silent
from tests.support.articles import raw_records
from tests.support.stream import Stream
from tests.support.workers import WorkerProcess

CHECK_SECONDS = 0.1
FENCED_SECONDS = 60
RESTARTED = (0, 3, -signal.SIGKILL)  # by the supervisor; 1 and 2 need a person


@dataclass
class Ended:
    """A process that ended although no fault asked it to."""

    slot: str
    code: int
    last_words: str


@dataclass
class Fleet:
    """One worker a slot, restarted whenever it ends, as an orchestrator would."""

    stream: Stream
    slots: str = "abc"
    settings: dict[str, object] = field(default_factory=dict)
    ended: list[Ended] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.workers = {slot: self._start(slot) for slot in self.slots}
        self._doomed: set[int] = set()
        self._replaced: list[WorkerProcess] = []
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._supervise, daemon=True)
        self._thread.start()

    def doom(self, slot: str) -> WorkerProcess:
        """The worker of a slot, whose end a fault is about to cause."""
        worker = self.workers[slot]
        self._doomed.add(worker.process.pid)
        return worker

    def wait_until_ready(self) -> None:
        for worker in list(self.workers.values()):
            worker.wait_until("partitions.assigned")

    def replace(self, slot: str) -> None:
        """Start a second self in a slot; it is the slot's worker from now on."""
        self._replaced.append(self.doom(slot))
        self.workers[slot] = self._start(slot)

    def wait_for_the_replaced(self) -> None:
        """They are fenced at their next transaction: a supervisor is asked to restart them."""
        while self._replaced:
            first = self._replaced.pop()
            assert first.wait(FENCED_SECONDS) == 3, first.text()[-2_000:]

    def records(self) -> dict[str, float]:
        """What each worker says it has committed."""
        found = {}
        for slot, worker in self.workers.items():
            port = worker.events("worker.assembled")[-1]["observe_port"]
            page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read()
            line = next(
                line
                for line in page.decode().splitlines()
                if line.startswith("newsieve_records_total")
            )
            found[slot] = float(line.split()[1])
        return found

    def close(self) -> list[int]:
        """SIGTERM to all; their exit codes."""
        self._is_closed.set()
        self._thread.join()
        for worker in self.workers.values():
            worker.process.send_signal(signal.SIGTERM)
        return [worker.wait(60) for worker in self.workers.values()]

    def _start(self, slot: str) -> WorkerProcess:
        return self.stream.start_worker(slot, **self.settings)

    def _supervise(self) -> None:
        while not self._is_closed.wait(CHECK_SECONDS):
            for slot, worker in list(self.workers.items()):
                code = worker.process.poll()
                if code is None or self.workers[slot] is not worker:
                    continue
                if worker.process.pid not in self._doomed:
                    self.ended.append(Ended(slot, code, worker.text()[-2_000:]))
                if code in RESTARTED:
                    self.workers[slot] = self._start(slot)


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
        self._records = raw_records(10**9, keys=600)
        self._errors: Counter[str] = Counter()
        self._adding = threading.Lock()
        self.ends: dict[int, int] = {}
        self.is_paused = False
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, count: int) -> None:
        """A backlog, at once."""
        with self._adding:
            for key, value in itertools.islice(self._records, count):
                self._producer.produce(self._topic, value, key, on_delivery=self._delivered)
                self._producer.poll(0)

    def close(self) -> None:
        """Deliver what is left."""
        self._is_closed.set()
        self._thread.join()
        assert self._producer.flush(60) == 0
        assert not self._errors, self._errors

    def _run(self) -> None:
        step = 0.05
        while not self._is_closed.is_set():
            started = time.monotonic()
            if not self.is_paused:
                self.add(int(self._per_second * step))
            self._producer.poll(0)
            time.sleep(max(0.0, step - (time.monotonic() - started)))

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None:
            self._errors[str(error)] += 1
        else:
            end = message.offset() + 1
            self.ends[message.partition()] = max(self.ends.get(message.partition(), 0), end)
