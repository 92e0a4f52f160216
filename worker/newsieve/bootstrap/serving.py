"""Builds `newsieve serve`: the collector that fills the store, and the application over it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache

from fastapi import APIRouter
from starlette.types import ASGIApp

from newsieve.bootstrap.common import cluster, filter_registry
from newsieve.bootstrap.drift import load_filter_inputs
from newsieve.bootstrap.drift_state import load_current_state, monitor_group
from newsieve.bootstrap.score_paths import ScorePaths
from newsieve.bootstrap.students import student_folder
from newsieve.errors import EXIT_RESTART, ArticleDeleted
from newsieve.filters.registry import Filter
from newsieve.kafka.assigned_consumer import AssignedConsumer
from newsieve.kafka.offset_query import OffsetQuery
from newsieve.programs.collecting.events import CollectorObserver
from newsieve.programs.collecting.loop import POLL_RECORDS, CollectorLoop, MakeRow, Routes
from newsieve.programs.collecting.observer import LoggingCollectorObserver
from newsieve.records.decode import RawRecord, decode
from newsieve.settings.loader import Settings
from newsieve.store import rows
from newsieve.store.reader import StoreReader
from newsieve.store.retention import Retention, remove_expired
from newsieve.store.writer import DAY_MS, StoreWriter
from newsieve.stream.health import Health
from newsieve.stream.logs import get_logger
from newsieve.stream.serve_metrics import ServeMetrics
from newsieve.web.access import Access
from newsieve.web.app import make_app
from newsieve.web.article_pages import article_pages
from newsieve.web.articles_api import articles_router
from newsieve.web.drift_site import drift_site
from newsieve.web.feeds import feeds_router
from newsieve.web.filters_api import filters_router, served_filter
from newsieve.web.hub import NewsHub
from newsieve.web.layout import Layout
from newsieve.web.letter_pages import letter_pages
from newsieve.web.open_inference import open_inference_router
from newsieve.web.refreshed import Refreshed
from newsieve.web.review_pages import review_pages
from newsieve.web.score_api import score_router
from newsieve.web.score_service import ScoreLimits, ScoreService
from newsieve.web.server import CLOSE_SECONDS
from newsieve.web.sign_in import sign_in_pages
from newsieve.web.site import DriftReport, Site
from newsieve.web.sse import EventStreams
from newsieve.web.static_files import static_router
from newsieve.web.status_page import status_page
from newsieve.web.student_pages import student_pages
from newsieve_schemas.topics import (
    CANARIES,
    CONTROL,
    DEAD_LETTER,
    DRIFT_ALERTS,
    ORACLE_SCORES,
    RAW,
    SCORED,
    topic_name,
)

GIGABYTE = 1_000_000_000
LAG_SECONDS = 5.0  # how old the workers' lag may be
DRIFT_SECONDS = 8.0  # and the state of the drift monitors
PATIENCE_SECONDS = 1.5  # of a page with a broker that does not answer

_log = get_logger("assemble")


@dataclass(frozen=True, slots=True)
class Serving:
    """What `newsieve serve` runs: a loop in its main thread, an application beside it."""

    loop: CollectorLoop
    app: ASGIApp
    hub: NewsHub
    writer: StoreWriter
    service: ScoreService | None

    def is_ready(self) -> bool:
        """Whether requests are answered, and, where students are loaded, articles are scored."""
        return self.hub.is_running and (self.service is None or self.service.is_ready)


def make_serving(
    settings: Settings, health: Health[ServeMetrics], scores: ScorePaths | None = None
) -> Serving:
    """Build the collector and the application, which scores where students are loaded. Raises
    StoreFailed, UnknownFilter or FilterInvalid."""
    path, filters = settings.serve.store, served_filters(settings)
    writer = StoreWriter(path)
    reader = StoreReader(path)
    hub = NewsHub(reader)
    observer = LoggingCollectorObserver(health.metrics, health.watchdog, hub.notify)
    loop = make_collector(settings, writer, observer)
    site = Site(
        settings=settings,
        filters=filters,
        reader=reader,
        hub=hub,
        streams=EventStreams(hub, settings.serve.streams, health.metrics.streams),
        access=Access(settings.serve),
        topics=observer,
        worker_lag=Refreshed(_worker_lag(settings), LAG_SECONDS, PATIENCE_SECONDS).get,
        drift=Refreshed(_drift_report(settings), DRIFT_SECONDS, PATIENCE_SECONDS),
        student_folders={name: student_folder(settings, item) for name, item in filters.items()},
    )
    service = score_service(settings, scores) if scores is not None else None
    routers = routers_of(site, scores, service)
    app = make_app(site, routers, health.metrics.requested, lambda: _running(hub, service))
    _log.info(
        "site.assembled",
        store=str(path),
        filters=list(site.filters),
        observe_port=health.port,
        pid=os.getpid(),
    )
    return Serving(loop, app, hub, writer, service)


def make_collector(
    settings: Settings, writer: StoreWriter, observer: CollectorObserver
) -> CollectorLoop:
    """Build the loop that fills the store."""
    routes = collected_topics(settings)
    inputs = AssignedConsumer(cluster(settings), list(routes.by_topic), POLL_RECORDS)
    retention = Retention(
        int(settings.serve.retention_days * DAY_MS),
        int(settings.serve.retention_gigabytes * GIGABYTE),
    )
    path = settings.serve.store
    return CollectorLoop(
        inputs,
        writer,
        routes,
        observer,
        lambda: remove_expired(writer, path, retention, time.time_ns() // 1_000_000),
    )


def routers_of(
    site: Site, scores: ScorePaths | None = None, service: ScoreService | None = None
) -> list[APIRouter]:
    """Return all routes of a site."""
    students = scores.students if scores is not None else {}
    served = [served_filter(item, students.get(name)) for name, item in site.filters.items()]
    layout = Layout(site.access)
    routers = [
        static_router(),
        article_pages(site, layout),
        letter_pages(site, layout),
        drift_site(site, layout),
        student_pages(site, layout),
        status_page(site, layout),
        sign_in_pages(site, layout),
        review_pages(site, layout),
        articles_router(site),
        feeds_router(site),
        filters_router(lambda: served),
    ]
    if service is not None:
        routers += [score_router(service), open_inference_router(service)]
    return routers


def score_service(settings: Settings, scores: ScorePaths) -> ScoreService:
    """Build what scores the articles of requests."""
    limits = ScoreLimits(
        queue_articles=settings.serve.score_queue_articles,
        deadline_seconds=settings.serve.score_deadline_seconds,
        articles=settings.serve.score_articles,
        body_bytes=settings.serve.body_bytes,
    )
    return ScoreService(scores.paths, scores.scorer, limits)


@asynccontextmanager
async def _running(hub: NewsHub, service: ScoreService | None) -> AsyncIterator[None]:
    """Tell clients the news while the application runs, and finish what is being scored."""
    task = asyncio.create_task(hub.run())
    task.add_done_callback(_end_if_failed)
    try:
        yield
    finally:
        task.cancel()
        if service is not None:
            await service.close(CLOSE_SECONDS)


def _end_if_failed(task: asyncio.Task[None]) -> None:
    """End the program where nobody would hear of news any more."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("news.ended", reason=repr(error))
        os._exit(EXIT_RESTART)


def served_filters(settings: Settings) -> Mapping[str, Filter]:
    """Return the filters of `worker.filters`, by name. Raises UnknownFilter or FilterInvalid."""
    registry = filter_registry(settings)
    filters = [registry.load(reference) for reference in settings.worker.filters]
    return {item.name: item for item in filters}


def collected_topics(settings: Settings) -> Routes:
    """Return which topics are read, and what is made of their records."""
    policy = settings.worker.decode_policy

    def text(record: RawRecord) -> rows.TextRow:
        now = time.time_ns() // 1_000_000
        came_ms = record.timestamp_ms
        return rows.text_row(decode(record, policy), now if came_ms is None else min(came_ms, now))

    def outcome(record: RawRecord) -> rows.OutcomeRow:
        row = rows.outcome_row(record)  # a clock that is ahead must not outlive retention
        return row._replace(scored_ms=min(row.scored_ms, time.time_ns() // 1_000_000))

    makers: dict[str, MakeRow] = {
        RAW: text,
        SCORED: outcome,
        ORACLE_SCORES: rows.label_row,
        DEAD_LETTER: rows.letter_row,
        DRIFT_ALERTS: rows.alert_row,
        CANARIES: rows.canary_row,
        CONTROL: rows.replay_row,
    }
    prefix = settings.kafka.topic_prefix
    by_topic = {topic_name(prefix, suffix): _unless_null(make) for suffix, make in makers.items()}
    return Routes(by_topic, topic_name(prefix, RAW))


def _unless_null(make: MakeRow) -> MakeRow:
    """Return a maker of rows that makes none of a tombstone, nor of what says the same."""

    def row(record: RawRecord) -> rows.Row | None:
        try:
            return make(record) if record.value is not None else None
        except ArticleDeleted:
            return None

    return row


def _drift_report(settings: Settings) -> Callable[[], DriftReport]:
    """Return what reads the state of all drift monitors."""
    inputs = cache(lambda: load_filter_inputs(settings))

    def read() -> DriftReport:
        current = load_current_state(settings, inputs())
        return DriftReport(current, monitor_group(settings), time.time_ns() // 1_000_000)

    return read


def _worker_lag(settings: Settings) -> Callable[[], int]:
    """Return what asks how many raw records the workers' group has not scored."""
    topic = topic_name(settings.kafka.topic_prefix, RAW)
    kafka = cluster(settings)
    query = OffsetQuery(
        kafka.consumer(settings.worker.group), [topic], lambda: None, kafka.timeouts
    )
    partitions = AssignedConsumer(kafka, [topic]).partitions

    def ask() -> int:
        marks = query.watermarks(partitions()).values()
        return sum(
            item.high - (item.low if item.committed is None else item.committed) for item in marks
        )

    return ask
