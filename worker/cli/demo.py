"""`newsieve demo`: everything on this machine, against a real broker."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from worker.assemble.shared import all_topics
from worker.assemble.students import student_folder
from worker.cli.common import ConfigOption, lines_of, note, open_input, progress, read_settings, say
from worker.demo.run import DemoRun
from worker.demo.stage import DemoFailed, WorkerProcess, workers
from worker.demo.summary import further_commands, summary
from worker.kafka.broker import find_or_start
from worker.kafka.client import Cluster
from worker.rules.catalogue import Filter, available, load
from worker.settings import Settings

SAMPLE: Final = Path(__file__).resolve().parents[1] / "demo" / "articles.jsonl"


def demo(
    articles: Annotated[
        Path | None,
        typer.Option("--articles", metavar="FILE", help="JSON Lines instead of the sample."),
    ] = None,
    worker_count: Annotated[
        int, typer.Option("--workers", min=1, max=16, metavar="N", help="Worker processes.")
    ] = 2,
    keep: Annotated[
        bool, typer.Option("--keep", help="Stay afterwards, to look around, until Ctrl-C.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Find or start a broker, score articles with all filters that have a student, say what came.

    The broker: the one NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS names, else Docker's, else Apache Kafka
    on this machine's Java. On a broker that others use set NEWSIEVE_KAFKA__TOPIC_PREFIX.

    Example: newsieve demo --articles articles.jsonl
    """
    settings = read_settings(config)
    filters = _filters_with_a_student(settings)
    with (
        open_input(str(articles or SAMPLE)) as stream,
        tempfile.TemporaryDirectory(prefix="newsieve-demo-") as folder,
        find_or_start(os.environ, note) as broker,
    ):
        note(f"broker: {broker.how}, {broker.bootstrap_servers}")
        kafka = Cluster(broker.bootstrap_servers, settings.kafka.options)
        run = DemoRun(kafka, settings.kafka.topic_prefix, filters, workers=worker_count)
        run.prepare(all_topics(settings, filters))
        threads = max(1, (os.cpu_count() or 1) // worker_count)
        environment = run.environment() | {"NEWSIEVE_STUDENT__THREADS": str(threads)}
        note(f"starting {worker_count} workers for {', '.join(f.reference for f in filters)} …")
        started_at = time.monotonic()
        with workers(worker_count, Path(folder), environment, config) as running:
            run.start_seconds = time.monotonic() - started_at
            lines = [line for _, line in lines_of(stream)]
            note(f"producing {len(lines)} raw records from {articles or 'the sample'} …")
            with progress("scoring", len(lines) * len(filters)) as advance:
                run.stream(lines, lambda: _require_alive(running), advance)
            say(summary(run))
            if keep:
                _stay(further_commands(run, is_kept=True))
    say(further_commands(run, is_kept=False))
    if run.ledger.missing or run.ledger.doubled:
        raise DemoFailed("the outcomes do not add up")


def _filters_with_a_student(settings: Settings) -> list[Filter]:
    """The highest version of each filter that has a student."""
    names = dict.fromkeys(reference.partition("/")[0] for reference in available())
    found = [
        filter_
        for filter_ in map(load, names)
        if (student_folder(settings, filter_) / "student.json").is_file()
    ]
    if not found:
        raise DemoFailed("no filter has a student: set NEWSIEVE_STUDENT__FOLDERS")
    return found


def _require_alive(running: list[WorkerProcess]) -> None:
    for worker in running:
        worker.is_ready()


def _stay(invitation: str) -> None:
    """Until Ctrl-C, which may come while the invitation is still being read."""
    try:
        say(invitation)
        threading.Event().wait()
    except KeyboardInterrupt:
        note("stopping …")
