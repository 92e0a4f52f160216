"""Builds `newsieve ingest feeds` from the settings: the list, the fetcher, the loop. Without
torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from newsieve.bootstrap.common import (
    Slot,
    acquire_group_slot,
    all_topics,
    make_member,
    utc_now,
)
from newsieve.errors import InputFileInvalid, WrongUsage
from newsieve.feeds.feed import FeedFetcher
from newsieve.feeds.feed_list import FeedList, parse_feed_lines, read_feed_list
from newsieve.feeds.fetcher import HttpFeedFetcher
from newsieve.feeds.full_text import FullText
from newsieve.feeds.next_request import Intervals
from newsieve.feeds.schedule import Schedule
from newsieve.kafka.config import APP
from newsieve.outgoing.public_address import parse_allowed
from newsieve.outgoing.web_reader import USER_AGENT, WebLimits, WebReader
from newsieve.programs.ingest.feed_state_store import KafkaFeedStateStore
from newsieve.programs.ingest.feeds_loop import FeedsLoop, FeedsLoopConfig
from newsieve.programs.ingest.feeds_observer import LoggingFeedsObserver
from newsieve.programs.ingest.fetch_pool import FetchPool
from newsieve.programs.ingest.watched_list import FeedSource, FixedFeedList, WatchedFeedList
from newsieve.settings.loader import Settings
from newsieve.stream.exactly_once import ExactlyOnceRunner
from newsieve.stream.health import Health
from newsieve.stream.ingest_metrics import IngestMetrics
from newsieve.stream.logs import get_logger
from newsieve_schemas.topics import FEEDS, RAW, Topic, topic_name

COMPONENT: Final = "ingest"
# What an ingester of feeds does to topics, for `newsieve doctor`.
RIGHTS: Final = ((FEEDS, "READ"), (FEEDS, "WRITE"), (RAW, "WRITE"))
DRAIN_SECONDS: Final = 5.0  # for answers under way after SIGTERM; a later one is asked for again

_log = get_logger(COMPONENT)


def feed_list(settings: Settings, path: Path | None) -> FeedSource:
    """Read the feeds of a file, by default those of the settings. Raises WrongUsage or
    InputFileInvalid."""
    if path is not None:
        return WatchedFeedList(path, _read_list)
    if not settings.ingest.feeds:
        raise WrongUsage("which feeds? Name a LIST, or set NEWSIEVE_INGEST__FEEDS")
    return FixedFeedList(_warned(parse_feed_lines("ingest.feeds", settings.ingest.feeds)).feeds)


def _read_list(path: Path) -> FeedList:
    listed = _warned(read_feed_list(path))
    if not listed.feeds:
        raise InputFileInvalid(f"{path}: there is no feed in it")
    return listed


def _warned(listed: FeedList) -> FeedList:
    for warning in listed.warnings:
        _log.warning("list.flawed", reason=warning)
    return listed


def make_fetcher(settings: Settings) -> HttpFeedFetcher:
    """Make what asks feeds, by HTTP and within the settings' limits."""
    ingest = settings.ingest
    agent = f"{USER_AGENT} (+{ingest.contact})" if ingest.contact else USER_AGENT
    limits = WebLimits(ingest.timeout_seconds, ingest.max_bytes)
    web = WebReader(parse_allowed(ingest.allowed_targets), user_agent=agent, limits=limits)
    least, most = ingest.min_interval_seconds, ingest.max_interval_seconds
    full_text = FullText(
        web,
        summary_characters=ingest.summary_characters,
        least_delay_seconds=ingest.host_gap_seconds,
    )
    return HttpFeedFetcher(web, intervals=Intervals(least, most, least), full_text=full_text)


def ingest_topics(settings: Settings) -> list[Topic]:
    """Return the topics that an ingester of feeds reads or writes."""
    return [topic for topic in all_topics(settings, ()) if topic.kind.suffix in (RAW, FEEDS)]


def acquire_slot(settings: Settings, heartbeat: Callable[[], None]) -> Slot:
    """Become the one process of the slot. Raises Fenced, TopicsWrong or BrokerLost."""
    ingest = settings.ingest
    return acquire_group_slot(
        settings, ingest.group, ingest.slot, "NEWSIEVE_INGEST__SLOT", heartbeat
    )


@dataclass(frozen=True, slots=True)
class RunningFeeds:
    """A feeds loop, its runner, and its observer, which knows what was done."""

    loop: FeedsLoop
    runner: ExactlyOnceRunner
    observer: LoggingFeedsObserver


def make_feeds_loop(
    settings: Settings,
    feeds: FeedSource,
    fetcher: FeedFetcher,
    slot: Slot,
    health: Health[IngestMetrics],
    *,
    is_once: bool,
) -> RunningFeeds:
    """Build a feeds loop. Health says that it is ready once it has joined its group."""
    ingest, prefix = settings.ingest, settings.kafka.topic_prefix
    member = make_member(settings, ingest.group, slot, health, ingest_topics(settings), FEEDS)
    observer = LoggingFeedsObserver(health.metrics, health.watchdog, member.consumer.lag)
    runner = member.runner(observer)
    topic = topic_name(prefix, FEEDS)
    store = KafkaFeedStateStore(member.cluster, member.offset_query, topic, observer.heartbeat)
    config = FeedsLoopConfig(
        topic_name(prefix, RAW), topic, f"{APP}/{COMPONENT}/{ingest.group}", DRAIN_SECONDS, is_once
    )
    pool = FetchPool(fetcher, ingest.concurrency)
    schedule = Schedule(ingest.host_gap_seconds)
    loop = FeedsLoop(runner, feeds, store, pool, schedule, observer, utc_now, config)
    health.ready_when(lambda: member.consumer.is_member)
    _log.info(
        "ingest.assembled",
        feeds=len(feeds.feeds),
        group=ingest.group,
        slot=slot.name,
        observe_port=health.port,
        pid=os.getpid(),
    )
    return RunningFeeds(loop, runner, observer)
