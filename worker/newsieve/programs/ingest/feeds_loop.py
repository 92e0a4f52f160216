"""The loop of `newsieve ingest feeds`: feeds in, each new or changed article on the raw topic once.

    restore states → ask feeds that are due → articles, states and offsets, committed

An ingester asks the feeds that belong to its partitions of the state topic. All that it knows of a
feed is the feed's state there: a process that takes over, or that had to abort a transaction, reads
it again. The records of the state topic that the group is given are its own; they are passed over,
and their offsets fence each commit. Which answers count is decided in `owned_feeds`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from newsieve.deadline import Deadline
from newsieve.errors import OutputTooLarge
from newsieve.feeds.schedule import Schedule
from newsieve.kafka.config import Partition
from newsieve.programs.ingest.events import FeedsObserver, FeedsTransaction
from newsieve.programs.ingest.feed_state_store import FeedStateStore
from newsieve.programs.ingest.fetch_pool import EndedFetch, FetchPool
from newsieve.programs.ingest.owned_feeds import OwnedFeeds
from newsieve.programs.ingest.state_records import state_record
from newsieve.programs.ingest.watched_list import FeedSource
from newsieve.records.encode import OutRecord
from newsieve.stream.exactly_once import ExactlyOnceRunner
from newsieve_schemas.ingest import IngestState

POLL_RECORDS: Final = 500  # of our own, to be passed over
COLLECT_SECONDS: Final = 0.05  # how long a step waits for an answer
MEASURE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class FeedsLoopConfig:
    """`source` is the ce_source of states; `is_once` asks each feed that is due one time.

    An idle ingester waits `idle_seconds` for a rebalance. No answer gets older than
    `commit_seconds` before it is committed. A member without partitions waits `stand_by_seconds`
    for some when it is to ask once: others, one of which may have been killed just now, have yet to
    give them up.
    """

    raw_topic: str
    feeds_topic: str
    source: str
    drain_seconds: float
    is_once: bool
    idle_seconds: float = 0.25
    commit_seconds: float = 1.0
    stand_by_seconds: float = 15.0


class FeedsLoop:
    """The feeds loop, and its state between steps. The runner calls it, on one thread."""

    def __init__(
        self,
        runner: ExactlyOnceRunner,
        feed_list: FeedSource,
        store: FeedStateStore,
        pool: FetchPool,
        schedule: Schedule,
        observer: FeedsObserver,
        now: Callable[[], str],
        config: FeedsLoopConfig,
    ) -> None:
        """`now` gives the time in ISO 8601, in UTC."""
        self._runner = runner
        self._list = feed_list
        self._store = store
        self._pool = pool
        self._observer = observer
        self._now = now
        self._config = config
        self._feeds = OwnedFeeds(
            pool, schedule, observer, config.commit_seconds, is_once=config.is_once
        )
        self._known: frozenset[Partition] | None = None  # partitions whose feeds are taken up
        self._alone_since: float | None = None  # without partitions, as a member of the group
        self._measured_at = 0.0

    @property
    def is_done(self) -> bool:
        """Whether all feeds of ours that were due have been asked, and the answers committed;
        never, unless the loop `is_once`."""
        if not self._config.is_once:
            return False
        if self._known is None:
            since = self._alone_since
            return since is not None and time.monotonic() - since > self._config.stand_by_seconds
        return self._feeds.is_all_asked

    def step(self) -> None:
        """Poll, restore, ask, collect and commit once. Raises Unavailable, or Fatal."""
        self._poll()
        if not self._restore():
            return
        self._feeds.ask_due()
        self._feeds.collect(COLLECT_SECONDS if self._pool.under_way else 0.0)
        if self._feeds.is_commit_due:
            self.commit()
        self._measure()

    def commit(self) -> None:
        """Commit all answers that have come: articles, states and offsets. Raises as `step`."""
        answers = self._feeds.finished.values()
        if not answers:
            return
        transaction, now = FeedsTransaction(), self._now()
        offsets = self._runner.consumer.offsets.to_commit()
        for ended in answers:
            self._publish(ended, now, transaction)
            partition = self._feeds.partition_of(ended.feed.url)
            offsets.setdefault(partition, self._offset_of(partition))
        seconds = self._runner.commit(offsets)
        self._feeds.committed()
        self._observer.feeds_committed(transaction, seconds)

    def drain(self, guarded: Callable[[Callable[[], None]], None]) -> None:
        """Commit the answers that come soon, and break the other fetches off."""
        deadline = Deadline(self._config.drain_seconds)
        while self._pool.under_way and not deadline.is_over:
            self._observer.heartbeat()
            self._feeds.collect(min(deadline.seconds_left, COLLECT_SECONDS))
        guarded(self._commit_what_counts)
        self._observer.feeds_drained(self._pool.under_way)

    def on_partitions_revoked(self, partitions: Sequence[Partition], seconds: float) -> None:  # noqa: ARG002 - as called
        """Commit the answers that have come. Raises as `commit`."""
        self._commit_what_counts()

    def on_abort(self) -> None:
        """Read the states again before anything else: they say which answers still count."""
        self._known = None

    def on_partitions_lost(self, partitions: Sequence[Partition] | None) -> None:  # noqa: ARG002 - as called
        """Read again which feeds are ours, and their states, before anything else."""
        self._known = None

    def _poll(self) -> None:
        """Serve rebalances, and pass over our own records."""
        seconds = self._config.idle_seconds
        if self._known is not None:
            seconds = min(seconds, self._feeds.seconds_until_next)
        offsets = self._runner.consumer.offsets
        for taken in self._runner.poll(POLL_RECORDS, seconds):
            if offsets.is_current(taken.partition, taken.epoch):
                offsets.produce(taken.partition, taken.offset)

    def _restore(self) -> bool:
        """Read the states of the feeds that are ours, where these are others than before. Return
        whether there are any partitions. Raises BrokerUnavailable or TopicsWrong."""
        listed = self._list.feeds
        if self._list.look_again():
            self._observer.list_read(len(self._list.feeds), self._list.failure)
            if self._list.feeds != listed:
                self._known = None
        owned = frozenset(self._runner.consumer.offsets.owned())
        if not owned:
            self._known = None
            if self._alone_since is None and self._runner.consumer.is_member:
                self._alone_since = time.monotonic()
            return False
        if owned != self._known:
            self._feeds.take_up(self._store.restore(sorted(owned), self._list.feeds))
            self._known, self._measured_at = owned, 0.0
        self._alone_since = None
        return True

    def _commit_what_counts(self) -> None:
        """Commit, unless the states have to be read first, which say what still counts."""
        if self._known is not None:
            self.commit()

    def _publish(self, ended: EndedFetch, now: str, transaction: FeedsTransaction) -> None:
        """Put the articles of an answer and its feed's state into the transaction."""
        producer, config, url = self._runner.producer, self._config, ended.feed.url
        for article in ended.fetched.articles:
            key = str(article["id"])
            record = OutRecord(config.raw_topic, key.encode(), orjson.dumps(article), [])
            try:
                producer.require_fit([record])
            except OutputTooLarge as error:
                self._observer.article_too_large(ended.feed, key, str(error))
                transaction.too_large += 1
                continue
            producer.produce(record)
        state = IngestState(feed=ended.fetched.state, file=None, updated_at=now)
        producer.produce(
            state_record(config.feeds_topic, config.source.encode(), url.encode(), state)
        )
        transaction.add(ended)

    def _offset_of(self, partition: Partition) -> int:
        """Return where the group stands in a partition: committed again, it fences."""
        offset = self._runner.consumer.offsets.next_uncommitted(partition)
        return self._feeds.committed_offset(partition) if offset is None else offset

    def _measure(self) -> None:
        now = time.monotonic()
        if now - self._measured_at >= MEASURE_SECONDS:
            self._measured_at = now
            self._feeds.measure()
