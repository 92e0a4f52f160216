"""The feeds of the partitions that an ingester owns: which are asked, and which answers count.

An answer counts only while its feed is ours and its state says what it said when the feed was
asked. So one whose transaction went through unseen, or that another ingester was faster with, is
dropped, and all others wait in memory until they are committed. It knows nothing of Kafka.
"""

from __future__ import annotations

import datetime as dt
import math
import time
from collections import Counter
from typing import Final

from newsieve.feeds.schedule import Schedule
from newsieve.kafka.config import Partition
from newsieve.programs.ingest.events import FeedCondition, FeedsObserver
from newsieve.programs.ingest.feed_state_store import RestoredFeeds
from newsieve.programs.ingest.fetch_pool import EndedFetch, FetchPool
from newsieve_schemas.ingest import FeedState

COMMIT_FEEDS: Final = 100  # answers of a transaction, at most, about
COMMIT_ARTICLES: Final = 500  # likewise
# A state that says no more than that its feed was asked is written once in so long: every state
# that is written has to be read at the next start.
REWRITE_SECONDS: Final = 3_600.0
OVERDUE_SECONDS: Final = 600.0  # a feed that waits longer for its turn is late
ONCE_SECONDS: Final = 60.0  # a run that asks each feed once waits as long for a host, not longer
NOT_BEFORE_COMMIT: Final = math.inf  # when a feed is due whose answer is not committed


class OwnedFeeds:
    """The feeds that are ours, their states, and the answers that are not committed yet."""

    def __init__(
        self,
        pool: FetchPool,
        schedule: Schedule,
        observer: FeedsObserver,
        commit_seconds: float,
        *,
        is_once: bool,
    ) -> None:
        """No answer gets older than `commit_seconds` before it is committed; with `is_once` each
        feed that is due is asked one time."""
        self.finished: dict[str, EndedFetch] = {}  # by address: answers that are not committed
        self._pool = pool
        self._schedule = schedule
        self._observer = observer
        self._commit_seconds = commit_seconds
        self._is_once = is_once
        self._ours = RestoredFeeds({}, {}, {})
        self._states: dict[str, FeedState] = {}
        self._due_at: dict[str, float] = {}  # when each of our feeds is due, by its state
        self._written: dict[str, float] = {}  # when we committed a feed's state last
        self._waiting_since = 0.0  # of the first of `finished`

    @property
    def is_all_asked(self) -> bool:
        """Whether no feed is asked soon, and all answers are committed."""
        return not self.finished and self.seconds_until_next > ONCE_SECONDS

    @property
    def seconds_until_next(self) -> float:
        """The seconds until the next feed is asked, or an answer comes, at the earliest."""
        next_at = self._schedule.next_at()
        if self._pool.under_way:
            return 0.0
        return math.inf if next_at is None else max(next_at - time.monotonic(), 0.0)

    @property
    def is_commit_due(self) -> bool:
        """Whether there are answers to commit, and no reason to wait for more."""
        if not self.finished:
            return False
        is_old = time.monotonic() - self._waiting_since > self._commit_seconds
        return is_old or self.seconds_until_next > self._commit_seconds or self._is_full()

    def take_up(self, restored: RestoredFeeds) -> None:
        """Go on with these feeds; answers that have come are kept where they count."""
        former, self._ours, self._due_at = self._states, restored, {}
        self._states = {
            url: _asked_last(former.get(url), state) for url, state in restored.states.items()
        }
        for url in [url for url, ended in self.finished.items() if not self._counts(ended)]:
            del self.finished[url]
        for feed in [feed for feed in self._schedule if feed.url not in restored.feeds]:
            self._schedule.remove(feed.url)
        for url in restored.feeds:
            self._plan(url)

    def ask_due(self) -> None:
        """Ask the feeds that are due, as far as there is room, unless there is much to commit
        already."""
        now = time.monotonic()
        while self._pool.has_room and not self._is_full():
            feed = self._schedule.take(now)
            if feed is None:
                return
            self._pool.start(feed, self._states.get(feed.url))

    def collect(self, seconds: float) -> None:
        """Take the answers that have come, after waiting at most so long for one. The feed of one
        that does not count is asked again."""
        for ended in self._pool.ended(seconds):
            url = ended.feed.url
            if self._counts(ended):
                self._observer.fetched(ended)
                if self._need_not_be_written(ended):
                    self._states[url] = ended.fetched.state
                else:
                    if not self.finished:
                        self._waiting_since = time.monotonic()
                    self.finished[url] = ended
            wait = ended.fetched.host_wait_seconds
            self._schedule.done(url, time.monotonic(), NOT_BEFORE_COMMIT, wait)
            if url in self._ours.feeds:
                self._plan(url)

    def committed(self) -> None:
        """Note that all answers that had come are committed with their states."""
        finished, self.finished = self.finished, {}
        for url, ended in finished.items():
            self._written[url] = time.monotonic()
            self._states[url] = ended.fetched.state
            self._plan(url)

    def partition_of(self, url: str) -> Partition:
        """Return the partition of one of our feeds."""
        return self._ours.feeds[url][1]

    def committed_offset(self, partition: Partition) -> int:
        """Return where the group stood in a partition when the feeds were taken up."""
        return self._ours.offsets.get(partition, 0)

    def measure(self) -> None:
        """Tell the observer in which condition our feeds are."""
        states = [self._states.get(url) for url in self._ours.feeds]
        conditions: Counter[FeedCondition] = Counter(map(condition_of, states))
        late = time.monotonic() - OVERDUE_SECONDS
        overdue = sum(self._due_at[url] < late for url in self._ours.feeds)
        self._observer.feeds_measured(conditions, overdue)

    def _counts(self, ended: EndedFetch) -> bool:
        state, url = ended.asked_with, ended.feed.url
        if url not in self._ours.feeds:
            return False
        present = self._states.get(url)
        return present is state or (
            present is not None and state is not None and is_same_but_for_times(present, state)
        )

    def _is_full(self) -> bool:
        articles = sum(len(ended.fetched.articles) for ended in self.finished.values())
        return len(self.finished) >= COMMIT_FEEDS or articles >= COMMIT_ARTICLES

    def _need_not_be_written(self, ended: EndedFetch) -> bool:
        """Whether an answer says nothing new, and the feed's state was written a short while ago.
        The first one after a start is: or one start after another would ask a feed each time."""
        written, former = self._written.get(ended.feed.url), ended.asked_with
        if former is None or written is None or time.monotonic() - written > REWRITE_SECONDS:
            return False
        return not ended.fetched.articles and is_same_but_for_times(former, ended.fetched.state)

    def _plan(self, url: str) -> None:
        """Schedule a feed of ours; where each is asked one time, only if it is due and was not."""
        seconds = seconds_until_due(self._states.get(url))
        due = self._due_at[url] = time.monotonic() + seconds
        if url in self.finished:
            due = NOT_BEFORE_COMMIT
        elif self._is_once and (seconds > 0 or url in self._written):
            self._schedule.remove(url)
            return
        self._schedule.add(self._ours.feeds[url][0], due)


def seconds_until_due(state: FeedState | None) -> float:
    """Return the seconds until a feed is to be asked next, below zero where it is late. It waits no
    longer than was decided when it was asked, by whatever clock its state was made."""
    if state is None:
        return 0.0
    try:
        checked_at, next_at = map(_timestamp, (state.checked_at, state.next_at))
    except ValueError:
        return 0.0
    return min(next_at - time.time(), next_at - checked_at)


def _timestamp(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


def _asked_last(ours: FeedState | None, restored: FeedState) -> FeedState:
    """Return the later one of two states that differ in times alone, of which not all are written;
    else the one that was restored."""
    if ours is None or not is_same_but_for_times(ours, restored):
        return restored
    return max(ours, restored, key=lambda state: state.checked_at)


def is_same_but_for_times(former: FeedState, latter: FeedState) -> bool:
    """Whether two states differ in nothing but when the feed was asked, and is to be asked."""
    times = {"checked_at": latter.checked_at, "next_at": latter.next_at}
    return former.model_copy(update=times) == latter


def condition_of(state: FeedState | None) -> FeedCondition:
    """Return the condition of a feed."""
    if state is None:
        return "new"
    if state.gone:
        return "gone"
    return "failing" if state.failures else "ok"
