"""The worker's whole path with the uplifting filter, but for the model and the tokeniser."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from meter import Meter, Task, read_task

from newsieve.bootstrap.students import StudentIdentity, scoring_path
from newsieve.bootstrap.common import Slot, open_health
from newsieve.bootstrap.scoring import RunningWorker, make_worker, acquire_slot
from newsieve.inference.scorer import FilterScores, Tokens
from newsieve.stream.metrics import Metrics
from newsieve.settings.loader import Settings, load_settings
from tests.support.filters import load

FILTERS = ("uplifting", "sustainability", "investment_risk")
STUDENT = "sha256:" + "0" * 64
CHECK_SECONDS = 0.05


class NoOp:
    """A scorer that knows its answers beforehand: all tiers, all gates."""

    def __init__(self) -> None:
        self._scores = np.random.default_rng(0).uniform(0, 10, (100_000, 8))
        self._tokens = [Tokens([0] * 200, truncated=False)] * 100_000
        self._at = 0

    def submit(
        self, texts: Sequence[str], wanted: Mapping[str, Sequence[int]]
    ) -> Future[dict[str, FilterScores]]:
        self._at = (self._at + len(texts)) % 90_000
        done: Future[dict[str, FilterScores]] = Future()
        done.set_result(
            {
                name: FilterScores(
                    self._scores[self._at : self._at + len(rows)], self._tokens[: len(rows)], {}
                )
                for name, rows in wanted.items()
            }
        )
        return done

    def close(self) -> None:
        """Nothing to end."""


class StopAfter:
    """Asks the metrics now and then whether all records are committed."""

    def __init__(
        self,
        running: RunningWorker,
        task: Task,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_ready` is called once, when the worker has joined its group: joining takes the
        broker's group.initial.rebalance.delay.ms, seconds that say nothing about a model."""
        self._registry = running.health.metrics.registry
        self._is_ready = running.health.is_ready
        self._on_ready: Callable[[], None] | None = on_ready
        self._wanted = task.records
        self._asked_at = 0.0
        self.records = 0

    def __call__(self) -> bool:
        if self._on_ready is not None and self._is_ready():
            self._on_ready()
            self._on_ready = None
        if time.monotonic() - self._asked_at > CHECK_SECONDS:
            self._asked_at = time.monotonic()
            value = self._registry.get_sample_value("newsieve_records_total")
            self.records = int(value or 0)
        return self.records >= self._wanted


def contend(
    take: Callable[[Settings, Callable[[], None]], Slot] = acquire_slot,
    prepare: Callable[[RunningWorker], None] = lambda _: None,
) -> None:
    """Run the worker until it has committed all records, and report."""
    task = read_task()
    filters = int(task.out)  # how many
    environment = {
        "NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": task.servers,
        "NEWSIEVE_KAFKA__TOPIC_PREFIX": task.topic.removesuffix(".raw"),
        "NEWSIEVE_WORKER__GROUP": task.group,
        "NEWSIEVE_WORKER__SLOT": "bench",
        "NEWSIEVE_WORKER__DEAD_LETTER_RUN": "1000000",
    }
    settings = load_settings(None, environment)
    identities = [StudentIdentity(load(name), STUDENT, "fp32") for name in FILTERS[:filters]]
    path = scoring_path(settings, identities, NoOp())
    health = open_health(settings, Metrics())
    running = make_worker(settings, path, take(settings, health.watchdog.beat), health)
    prepare(running)
    meter = Meter()
    stop = StopAfter(running, task, on_ready=meter.restart)
    running.worker.run(stop)
    meter.report(stop.records)


if __name__ == "__main__":
    contend()
