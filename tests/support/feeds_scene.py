"""A real feeds loop on scripted Kafka clients and scripted feeds, step by step.

All but clients and answers is the product's own; a successor restores what was committed.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from newsieve.feeds.feed import Feed, FetchedFeed, FetchOutcome
from newsieve.feeds.known_items import KnownItems, Seen
from newsieve.feeds.schedule import Schedule
from newsieve.kafka.config import Partition
from newsieve.kafka.group_consumer import GroupConsumer
from newsieve.kafka.offset_query import OffsetQuery
from newsieve.kafka.timeouts import TIMEOUTS, Timeouts
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.programs.ingest.events import FeedCondition, FeedsTransaction
from newsieve.programs.ingest.feed_partitions import feeds_of
from newsieve.programs.ingest.feed_state_store import RestoredFeeds
from newsieve.programs.ingest.feeds_loop import FeedsLoop, FeedsLoopConfig
from newsieve.programs.ingest.fetch_pool import EndedFetch, FetchPool
from newsieve.programs.ingest.state_records import read_state
from newsieve.programs.ingest.watched_list import FixedFeedList
from newsieve.stream.exactly_once import ExactlyOnceRunner
from newsieve_schemas.ingest import FeedState
from tests.support.oracle_scene import AskingConsumer, PausingConsumer, RecordingProducer, Topics
from tests.support.scripted import PATIENCE_SECONDS, TOPIC, Message, ScriptedConsumer, Step, until

RAW, FEEDS = "p.raw", "p.feeds"
NOW = "2026-11-22T12:00:00.000Z"
PARTITIONS = 2
A, B = "https://a.example/feed", "https://b.example/feed"
ITEMS = {A: {"a1": "one", "a2": "two"}, B: {"b1": "three"}}
ALL = [("a1", "one"), ("a2", "two"), ("b1", "three")]


def later(seconds: float = 3_600) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)).isoformat()


def state_of(url: str, items: Mapping[str, str], **changes: Any) -> FeedState:
    """The state of a feed that has these texts under these ids."""
    known = KnownItems({}).after(Seen.of(name, text) for name, text in items.items())
    fields: dict[str, Any] = {
        "url": url,
        "etag": None,
        "last_modified": None,
        "content": None,
        "items": known.format(),
        "current_items": known.current,
        "return_depth": known.return_depth,
        "interval_seconds": None,
        "checked_at": later(0),
        "next_at": later(),
        "failures": 0,
        "failure": None,
        "gone": False,
        "moved_to": None,
    }
    return FeedState(**{**fields, **changes})


@dataclass
class ScriptedFeeds:
    """Feeds by URL: their items, as texts by id. It can hold answers back until told."""

    items: dict[str, dict[str, str]]
    changes: dict[str, Any] = field(default_factory=dict)  # of the state that an answer brings
    outcome: FetchOutcome | None = None
    host_wait_seconds: float | None = None
    is_held: bool = False
    asked: list[str] = field(default_factory=list)
    _released: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def fetch(self, feed: Feed, state: FeedState | None) -> FetchedFeed:
        items = dict(self.items[feed.url])
        self.asked.append(feed.url)
        if self.is_held:
            assert self._released.acquire(timeout=PATIENCE_SECONDS)
        known = KnownItems.parse(state.items, 0, 0) if state is not None else KnownItems({})
        news = [
            {"id": name, "title": name, "content": text}
            for name, text in items.items()
            if known.is_news(Seen.of(name, text))
        ]
        outcome = self.outcome or ("read" if news else "unchanged")
        found = state_of(feed.url, items, **self.changes)
        return FetchedFeed(outcome, news, found, None, self.host_wait_seconds)

    def release(self, count: int) -> None:
        self._released.release(count)

    def close(self) -> None:
        """Nothing is open."""


class TopicStateStore:
    """Restores states from committed records."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self.restored = 0

    def restore(self, owned: Sequence[Partition], feeds: Collection[Feed]) -> RestoredFeeds:
        self.restored += 1
        ours = feeds_of(feeds, {number for _, number in owned}, PARTITIONS)
        latest = dict(self._topics.records.get(FEEDS, []))
        states = {}
        for url in ours:
            if (value := latest.get(url.encode())) is not None:
                state = read_state(url.encode(), value).feed
                assert state is not None
                states[url] = state
        placed = {url: (feed, (TOPIC, number)) for url, (feed, number) in ours.items()}
        offsets = self._topics.offsets
        return RestoredFeeds(placed, states, {(TOPIC, n): offsets[n] for n in offsets})


class NotingProducer(RecordingProducer):
    """Keeps the offsets of each transaction, too."""

    def __init__(self, topics: Topics) -> None:
        super().__init__(topics)
        self.sent: list[dict[int, int]] = []

    def send_offsets_to_transaction(
        self, offsets: list[TopicPartition], metadata: bytes, seconds: float
    ) -> None:
        self.sent.append({item.partition: item.offset for item in offsets})
        super().send_offsets_to_transaction(offsets, metadata, seconds)


class Notes:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.fetched_feeds: list[str] = []
        self.too_large: list[str] = []
        self.transactions: list[FeedsTransaction] = []
        self.conditions: Mapping[FeedCondition, int] = {}
        self.lists: list[tuple[int, str | None]] = []
        self.broken_off = -1

    def heartbeat(self) -> None: ...

    def aborted(self, _: str, fault: str) -> None:
        self.faults.append(fault)

    def fetched(self, ended: EndedFetch) -> None:
        self.fetched_feeds.append(ended.feed.url)

    def article_too_large(self, _: Feed, article_id: str, __: str) -> None:
        self.too_large.append(article_id)

    def feeds_committed(self, transaction: FeedsTransaction, _: float) -> None:
        self.transactions.append(transaction)

    def feeds_measured(self, conditions: Mapping[FeedCondition, int], _: int) -> None:
        self.conditions = conditions

    def list_read(self, feeds: int, failure: str | None) -> None:
        self.lists.append((feeds, failure))

    def feeds_drained(self, broken_off: int) -> None:
        self.broken_off = broken_off


@dataclass
class FeedsScene:
    """One ingester: its steps, its feeds, and topics that outlive it."""

    feeds: ScriptedFeeds
    topics: Topics = field(default_factory=Topics)
    is_once: bool = False
    max_message_bytes: int = 1_000_000
    drain_seconds: float = 0.2
    timeouts: Timeouts = TIMEOUTS

    def __post_init__(self) -> None:
        self.consumer = PausingConsumer([])
        self.producer = NotingProducer(self.topics)
        self.observer = Notes()
        self.store = TopicStateStore(self.topics)
        self.feed_list = FixedFeedList([Feed(url) for url in self.feeds.items])

    def run(self, monkeypatch: pytest.MonkeyPatch, *steps: Step) -> None:
        """Play all steps, then stop; one that asks each feed once may stop before. Raises what the
        loop raises."""
        self.consumer._steps = list(steps)
        monkeypatch.setattr("newsieve.kafka.group_consumer.make_consumer", lambda _: self.consumer)
        asking = AskingConsumer(self.topics)
        monkeypatch.setattr("newsieve.kafka.offset_query.make_consumer", lambda _: asking)
        producer = TransactionalProducer(
            lambda _: self.producer,  # type: ignore[arg-type,return-value]
            lambda: None,
            self.max_message_bytes,
            self.timeouts,
        )
        producer.connect()
        offset_query = OffsetQuery({}, [], lambda: None, self.timeouts)
        consumer = GroupConsumer({}, TOPIC, offset_query, lambda _: None, timeouts=self.timeouts)
        runner = ExactlyOnceRunner(consumer, producer, self.observer, timeouts=self.timeouts)
        self.loop = FeedsLoop(
            runner,
            self.feed_list,
            self.store,
            FetchPool(self.feeds, 4),
            Schedule(0),
            self.observer,
            lambda: NOW,
            FeedsLoopConfig(
                RAW, FEEDS, "s", self.drain_seconds, self.is_once, stand_by_seconds=0.1
            ),
        )
        runner.run(self.loop, lambda: self.consumer.is_over or self.loop.is_done)

    until = staticmethod(until)

    def committed(self, articles: int) -> Step:
        return until(lambda: len(self.articles()) >= articles)

    def asked(self, count: int) -> Step:
        return until(lambda: len(self.feeds.asked) >= count)

    def articles(self) -> list[tuple[str, str]]:
        """The ids and texts that are on the raw topic."""
        values = [json.loads(value) for _, value in self.topics.records.get(RAW, [])]
        return [(value["id"], value["content"]) for value in values]

    def states(self) -> list[FeedState]:
        """All states that are on the state topic, those that others have replaced, too."""
        found = [read_state(*record).feed for record in self.topics.records.get(FEEDS, [])]
        return [state for state in found if state is not None]


def scene(**how: Any) -> FeedsScene:
    """An ingester of A and B."""
    return FeedsScene(ScriptedFeeds({url: dict(items) for url, items in ITEMS.items()}), **how)


def doing(action: Callable[[], object]) -> Step:
    """A step that does something else than Kafka's."""

    def step(_: ScriptedConsumer) -> list[Message]:
        action()
        return []

    return step
