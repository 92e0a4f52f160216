"""`newsieve worker`: score the raw topic until told to stop."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from types import FrameType

from worker import assemble
from worker.cli.common import ConfigOption, read_settings
from worker.errors import BrokerLost, BrokerUnavailable, TopicsWrong
from worker.kafka.admin import TopicAdmin
from worker.observe.logs import get_logger
from worker.rules.catalogue import Filter
from worker.settings import Settings

EXIT_SECOND_SIGNAL = 130

_log = get_logger("worker")


def work(config: ConfigOption = None) -> None:
    """Score raw articles and publish the outcomes, exactly once, until SIGTERM.

    SIGTERM finishes what is in flight; a second one exits at once. Exit codes: 0 drained,
    1 a person is needed, 2 settings, 3 restart me.

    Example: newsieve worker
    """
    settings = read_settings(config)
    stop = threading.Event()
    _stop_on_signals(stop)
    filters = assemble.load_filters(settings)
    _require_topics(settings, filters)
    students = assemble.load_students(settings, filters)
    engine = assemble.make_engine(settings, students)
    identities = [assemble.StudentIdentity(f, students[f.name].hash) for f in filters]
    running = assemble.make_worker(settings, assemble.scoring_path(settings, identities, engine))
    running.watchdog.start()
    try:
        running.worker.run(stop.is_set)
    finally:
        engine.close()
        running.server.close()


def _require_topics(settings: Settings, filters: Sequence[Filter]) -> None:
    """Fail at the start rather than at the first record. Raises TopicsWrong or BrokerLost."""
    wanted = assemble.worker_topics(settings, filters)
    try:
        known = TopicAdmin(assemble.cluster(settings)).partitions()
    except BrokerUnavailable as error:
        raise BrokerLost(str(error)) from None
    missing = [topic.name for topic in wanted if topic.name not in known]
    if missing:
        raise TopicsWrong(
            f"{len(missing)} topics are missing ({', '.join(missing[:3])} …): "
            "run `newsieve topics create`"
        )


def _stop_on_signals(stop: threading.Event) -> None:
    def handle(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            os._exit(EXIT_SECOND_SIGNAL)
        _log.info("worker.stopping", signal=signal.Signals(number).name)
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
