"""Says whether a site's robots.txt lets newsieve read a page, and how long to wait before (RFC
9309).

A site without a robots.txt allows everything; one whose robots.txt is not to be had for now allows
nothing. It does not know what the pages are for.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit

import msgspec

from newsieve.feeds.page_questions import Robots, Rules
from newsieve.limited_process import CallFailed
from newsieve.outgoing.web_reader import Unanswered, WebAnswer, WebLimits

# A larger one is read so far (RFC 9309, section 2.5), if it is not larger than can be explained.
READ_BYTES: Final = 500 * 1024
LIMITS: Final = WebLimits(seconds=15.0, body_bytes=4 * READ_BYTES, redirects=5)
KEPT_SECONDS: Final = 86_400.0  # the longest that the RFC allows
KEPT_SECONDS_OF_FAILURE: Final = 3_600.0
MAX_SITES: Final = 2_000
MAX_KEPT_BYTES: Final = 16 * 1_048_576
LEAST_DELAY_SECONDS: Final = 1.0  # between two pages of a host that asks for none
MAX_DELAY_SECONDS: Final = 10.0
_TOO_MANY_REQUESTS: Final = 429  # it says nothing about what is allowed


class Web(Protocol):
    """Asks for documents of the public Internet, within limits."""

    def read(
        self, url: str, headers: Mapping[str, str], limits: WebLimits | None = None
    ) -> WebAnswer:
        """Return the answer to a GET request. Raises Unanswered."""
        ...


class Disallowed(Exception):
    """A site does not let a page be read, or cannot be asked. `str` says why, for people."""


class RobotsRules:
    """The robots.txt files of sites, each asked for once a day. Threads may ask side by side."""

    def __init__(
        self,
        web: Web,
        read_in_child: Callable[[bytes], bytes],
        *,
        least_delay_seconds: float = LEAST_DELAY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what calls `page_reading.answer` under limits."""
        self._web = web
        self._read_in_child = read_in_child
        self._least_delay_seconds = least_delay_seconds
        self._clock = clock
        self._sites: OrderedDict[str, _Site] = OrderedDict()
        self._kept_bytes = 0
        self._lock = threading.Lock()

    def check(self, url: str) -> float:
        """Return the least seconds between two pages of a URL's site. Raises Disallowed.

        May wait for the site's answer.
        """
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}".lower()
        site = self._known(origin)
        if site is None:
            site = self._ask(origin)
            self._keep(origin, site)
        if site.failure is not None:
            raise Disallowed(site.failure)
        if not site.robots:
            return self._least_delay_seconds
        rules = self._rules(origin, site.robots, url)
        if not rules.is_allowed:
            raise Disallowed("robots.txt does not allow it")
        return max(min(rules.delay_seconds or 0, MAX_DELAY_SECONDS), self._least_delay_seconds)

    def _rules(self, origin: str, robots: bytes, url: str) -> Rules:
        question = msgspec.msgpack.encode(Robots(robots, url))
        try:
            return msgspec.msgpack.decode(self._read_in_child(question), type=Rules)
        except (CallFailed, msgspec.DecodeError) as error:
            reason = f"robots.txt cannot be read: {error}"
            self._keep(origin, _Site(b"", reason, self._clock() + KEPT_SECONDS_OF_FAILURE))
            raise Disallowed(reason) from None

    def _ask(self, origin: str) -> _Site:
        now = self._clock()
        try:
            answer = self._web.read(f"{origin}/robots.txt", {"accept": "text/plain, */*"}, LIMITS)
        except Unanswered as error:
            return _Site(b"", f"robots.txt: {error}", now + KEPT_SECONDS_OF_FAILURE)
        match answer.status // 100:
            case 2:
                return _Site(answer.body[:READ_BYTES], None, now + KEPT_SECONDS)
            case 4 if answer.status != _TOO_MANY_REQUESTS:
                return _Site(b"", None, now + KEPT_SECONDS)
        reason = f"robots.txt: the server answers {answer.status}"
        return _Site(b"", reason, now + KEPT_SECONDS_OF_FAILURE)

    def _known(self, origin: str) -> _Site | None:
        with self._lock:
            site = self._sites.get(origin)
            if site is None or site.expires_at <= self._clock():
                return None
            self._sites.move_to_end(origin)
            return site

    def _keep(self, origin: str, site: _Site) -> None:
        """Keep a site's answer, and forget those that were not needed for longest."""
        with self._lock:
            self._drop(origin)
            self._sites[origin] = site
            self._kept_bytes += len(site.robots)
            while len(self._sites) > MAX_SITES or self._kept_bytes > MAX_KEPT_BYTES:
                self._drop(next(iter(self._sites)))

    def _drop(self, origin: str) -> None:
        site = self._sites.pop(origin, None)
        if site is not None:
            self._kept_bytes -= len(site.robots)


class _Site(NamedTuple):
    robots: bytes  # empty where all is allowed
    failure: str | None
    expires_at: float
