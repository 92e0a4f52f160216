"""Builds `newsieve ingest http`: the loop that publishes, and the application that takes requests.

It does not know the command line.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from starlette.types import ASGIApp

from newsieve.bootstrap.common import Slot, acquire_group_slot, all_topics
from newsieve.programs.ingest.receiving import ReceivingLoop
from newsieve.programs.ingest.receiving_observer import LoggingReceivingObserver
from newsieve.settings.loader import Settings
from newsieve.stream.health import Health
from newsieve.stream.ingest_http_metrics import IngestHttpMetrics
from newsieve.stream.logs import get_logger
from newsieve.web.ingest_access import IngestAccess
from newsieve.web.ingest_app import make_ingest_app
from newsieve.web.ingest_service import IngestLimits, IngestService
from newsieve_schemas.topics import RAW, Topic, topic_name

SLOT_PREFIX: Final = "http/"  # no slot has a slash: no other ingester is fenced by this one

_log = get_logger("ingest")


@dataclass(frozen=True, slots=True)
class Receiving:
    """What `newsieve ingest http` runs: a loop in its main thread, an application beside it."""

    loop: ReceivingLoop
    app: ASGIApp


def receiving_topics(settings: Settings) -> list[Topic]:
    """Return the topics that are written."""
    return [topic for topic in all_topics(settings, ()) if topic.kind.suffix == RAW]


def acquire_receiving_slot(settings: Settings, heartbeat: Callable[[], None]) -> Slot:
    """Become the one receiver of the slot. Raises Fenced, TopicsWrong or BrokerLost."""
    ingest = settings.ingest
    slot = None if ingest.slot is None else f"{SLOT_PREFIX}{ingest.slot}"
    return acquire_group_slot(settings, ingest.group, slot, "NEWSIEVE_INGEST__SLOT", heartbeat)


def make_receiving(settings: Settings, slot: Slot, health: Health[IngestHttpMetrics]) -> Receiving:
    """Build the loop and the application."""
    ingest, metrics = settings.ingest, health.metrics
    loop = ReceivingLoop(slot.producer, LoggingReceivingObserver(metrics, health.watchdog))
    service = IngestService(
        topic_name(settings.kafka.topic_prefix, RAW),
        # The key of a record is its article's id, so a worker finds the same id either way.
        replace(settings.worker.decode_policy, id_from_key=False),
        IngestLimits(
            body_bytes=ingest.http_body_bytes,
            articles=ingest.http_articles,
            queue_articles=ingest.http_queue_articles,
            queue_bytes=ingest.http_queue_bytes,
            deadline_seconds=ingest.http_deadline_seconds,
        ),
        loop,
        slot.producer.require_fit,
        metrics.refused,
    )
    access = IngestAccess(ingest.http_token, ingest.http_secret)
    app = make_ingest_app(service, access, ingest.http_host, ingest.http_hosts, metrics.requested)
    metrics.queue_is(lambda: service.queue.articles, lambda: service.queue.body_bytes)
    _log.info(
        "receiver.assembled",
        slot=slot.name,
        open_to_this_machine=access.is_open,
        observe_port=health.port,
        pid=os.getpid(),
    )
    return Receiving(loop, app)
