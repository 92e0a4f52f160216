"""What commands share that run until they are stopped: signals, and the topics at their start.

It does not know what such a program does.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Final

from newsieve.bootstrap.common import cluster
from newsieve.errors import BrokerLost, BrokerUnavailable, TopicsWrong
from newsieve.kafka.admin import TopicAdmin
from newsieve.settings.loader import Settings
from newsieve.stream.logs import get_logger
from newsieve_schemas.topics import Topic

EXIT_SECOND_SIGNAL: Final = 130


def stop_on_signals(program: str) -> threading.Event:
    """Return an event that the first SIGTERM or SIGINT sets; a second one exits at once."""
    stop = threading.Event()
    log = get_logger(program)

    def handle(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            os._exit(EXIT_SECOND_SIGNAL)
        log.info("program.stopping", program=program, signal=signal.Signals(number).name)
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop


def interrupt_on_signals() -> None:
    """Raise KeyboardInterrupt in the main thread at the first SIGINT or SIGTERM.

    Later ones are ignored, since they would interrupt the cleaning up.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


def require_topics(settings: Settings, wanted: Sequence[Topic]) -> None:
    """Check at the start that the topics exist. Raises TopicsWrong or BrokerLost."""
    try:
        known = TopicAdmin(cluster(settings)).partitions()
    except BrokerUnavailable as error:
        raise BrokerLost(str(error)) from None
    missing = [topic.name for topic in wanted if topic.name not in known]
    if missing:
        raise TopicsWrong(
            f"{len(missing)} topics are missing, or not ours to see ({', '.join(missing[:3])} …): "
            "run `newsieve topics create`; `newsieve doctor` says what rights are missing"
        )
