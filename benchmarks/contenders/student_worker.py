"""The worker end to end with a real student: bytes in the queue to records out."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from meter import Meter, Task, read_task

from newsieve.bootstrap.common import load_filters, open_health
from newsieve.bootstrap.students import identities_of, load_students, make_scorer, scoring_path
from newsieve.bootstrap.scoring import RunningWorker, make_worker, acquire_slot
from newsieve.stream.metrics import Metrics
from newsieve.settings.loader import load_settings

CHECK_SECONDS = 0.05


def main() -> None:
    """`--out` is filters:dtype:threads, filters joined by +."""
    task = read_task()
    filters, dtype, threads = task.out.split(":")
    settings = load_settings(
        None,
        {
            "NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": task.servers,
            "NEWSIEVE_KAFKA__TOPIC_PREFIX": task.topic.removesuffix(".raw"),
            "NEWSIEVE_WORKER__GROUP": task.group,
            "NEWSIEVE_WORKER__SLOT": "bench",
            "NEWSIEVE_WORKER__FILTERS": filters.replace("+", ","),
            "NEWSIEVE_STUDENT__DTYPE": dtype,
            "NEWSIEVE_STUDENT__THREADS": threads,
        },
    )
    health = open_health(settings, Metrics())
    slot = acquire_slot(settings, health.watchdog.beat)
    loading_since = time.perf_counter()
    chosen = load_filters(settings)
    students = load_students(settings, chosen)
    engine = make_scorer(students)
    identities = identities_of(students)
    path = scoring_path(settings, identities, engine)
    running = make_worker(settings, path, slot, health)
    load_seconds = time.perf_counter() - loading_since
    meter = Meter()
    stop = StopAfter(running, task, on_ready=meter.restart)
    running.worker.run(stop)
    meter.report(stop.records, load_seconds=load_seconds, dtype=next(iter(students.values())).dtype)
    engine.close()


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


if __name__ == "__main__":
    main()
