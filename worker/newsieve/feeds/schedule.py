"""Says which feed is asked next: the one that has waited longest, of a host that is free. Pure.

A host is asked for one feed at a time, with a gap after each. Feeds at rest cost nothing: one heap
has what a host is due for, another the hosts. Times are seconds of whatever clock the caller uses.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from newsieve.feeds.feed import Feed

HOST_GAP_SECONDS: Final = 1.0


class _Host:
    """The feeds of one host that are not being asked, and from when on the host may be."""

    __slots__ = ("free_at", "is_asked", "offered_at", "waiting")

    def __init__(self) -> None:
        self.waiting: list[tuple[float, str]] = []  # a heap of when a feed is due, and its URL
        self.free_at = 0.0
        self.is_asked = False
        self.offered_at = math.inf  # where it stands in the heap of hosts; an earlier one counts


class Schedule:
    """The feeds that one process asks. Not for several threads at a time."""

    def __init__(self, host_gap_seconds: float = HOST_GAP_SECONDS) -> None:
        self._gap_seconds = host_gap_seconds
        self._feeds: dict[str, Feed] = {}
        self._due: dict[str, float] = {}  # of the feeds that are not being asked
        self._hosts: dict[str, _Host] = {}
        self._next: list[tuple[float, str]] = []  # a heap of when a host can be asked, and its name

    def __len__(self) -> int:
        return len(self._feeds)

    def __iter__(self) -> Iterator[Feed]:
        return iter(self._feeds.values())

    def __contains__(self, url: object) -> bool:
        return url in self._feeds

    def add(self, feed: Feed, due: float) -> None:
        """Add a feed, or change its place. One that is being asked gets its place when that is
        done."""
        is_asked = feed.url in self._feeds and feed.url not in self._due
        self._feeds[feed.url] = feed
        if not is_asked:
            self._place(feed.url, due)

    def remove(self, url: str) -> None:
        """Take a feed out; one that is being asked does not come back."""
        self._feeds.pop(url, None)
        self._due.pop(url, None)

    def take(self, now: float) -> Feed | None:
        """Return the feed to ask now, or None. Its host is asked for no other until `done`."""
        while self._next and self._next[0][0] <= now:
            offered_at, name = heapq.heappop(self._next)
            host = self._hosts[name]
            if offered_at != host.offered_at:
                continue  # it was offered earlier since
            host.offered_at = math.inf
            ready_at = self._ready_at(host)
            if ready_at is None or host.is_asked or ready_at > now:
                self._offer(name, host)
                continue
            _, url = heapq.heappop(host.waiting)
            del self._due[url]
            host.is_asked = True
            return self._feeds[url]
        return None

    def done(
        self, url: str, now: float, due: float, host_wait_seconds: float | None = None
    ) -> None:
        """Note that a feed has been asked and when it is due again. `host_wait_seconds` is how long
        its host wants no request at all."""
        name = host_of(url)
        host = self._hosts[name]
        host.is_asked = False
        host.free_at = max(host.free_at, now + max(self._gap_seconds, host_wait_seconds or 0.0))
        if url in self._feeds:
            self._place(url, due)
        else:
            self._offer(name, host)

    def next_at(self) -> float | None:
        """Return when `take` will have a feed, as far as is known; None while all are asked or
        there are none. It may be a little early."""
        return self._next[0][0] if self._next else None

    def _place(self, url: str, due: float) -> None:
        name = host_of(url)
        host = self._hosts.setdefault(name, _Host())
        self._due[url] = due
        heapq.heappush(host.waiting, (due, url))
        self._offer(name, host)

    def _offer(self, name: str, host: _Host) -> None:
        ready_at = self._ready_at(host)
        if ready_at is not None and not host.is_asked and ready_at < host.offered_at:
            host.offered_at = ready_at
            heapq.heappush(self._next, (ready_at, name))

    def _ready_at(self, host: _Host) -> float | None:
        """Return when the host can be asked for the first of its feeds."""
        while host.waiting:
            due, url = host.waiting[0]
            if self._due.get(url) == due:
                return max(due, host.free_at)
            heapq.heappop(host.waiting)  # it was removed, or has another place
        return None


def host_of(url: str) -> str:
    """Return whose server a feed asks: host and port."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return url
