"""Reads the pages behind a feed's summaries, so that articles have their whole text.

Only articles that are new or have changed come here, and what decides that is the feed's own text:
a page that differs at each visit makes no new version. It knows neither Kafka nor a feed's format.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from newsieve.deadline import Deadline
from newsieve.feeds.host_gaps import HostGaps
from newsieve.feeds.page_questions import Page
from newsieve.feeds.robots import LEAST_DELAY_SECONDS, Disallowed, RobotsRules, Web
from newsieve.limited_process import CallFailed, Closed, FunctionFailed, LimitedProcesses, Limits
from newsieve.outgoing.public_address import AddressRefused, check_url
from newsieve.outgoing.web_reader import Unanswered, WebAnswer, WebLimits
from newsieve.printable import one_line

MARK: Final = "full_text"  # the raw article's field that says what came of it
Outcome = Literal["read", "refused", "failed"]

OK: Final = 200
MAX_KIND_CHARACTERS: Final = 60
MIB: Final = 1_048_576
PAGE_LIMITS: Final = WebLimits(seconds=20.0, body_bytes=4 * MIB, redirects=5)
# A page of 140 kB takes 80 ms, one of 750 kB 160 ms; the process has 80 MiB then.
CHILD_LIMITS: Final = Limits(seconds=10.0, memory_bytes=512 * MIB, result_bytes=8 * MIB)
CHILD_FUNCTION: Final = "newsieve.feeds.page_reading:answer"
MAX_PAGES: Final = 20  # of one fetch: articles beyond them come with the next
FETCH_SECONDS: Final = 60.0  # after which no other page of one fetch is begun
LEAST_CHARACTERS: Final = 200  # less is a notice about cookies or scripts, not an article
MAX_CHARACTERS: Final = 150_000  # as of a feed's own texts; no article is longer
_REFUSALS: Final = frozenset({401, 402, 403, 429, 451})
_BUSY: Final = frozenset({429, 503})
_HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
_HEADERS: Final = {"accept": "text/html, application/xhtml+xml"}
_MARKUP: Final = re.compile(r"<[a-zA-Z/!][^<>]*>")
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)


class FullText:
    """Completes the articles of feeds that want it. Threads may do so side by side."""

    def __init__(
        self,
        web: Web,
        *,
        summary_characters: int,
        least_delay_seconds: float = LEAST_DELAY_SECONDS,
        fetch_seconds: float = FETCH_SECONDS,
        children: LimitedProcesses | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take as a summary what has fewer characters than these, markup apart. Two pages of a host
        lie the delay apart, or as much more as its robots.txt wishes."""
        self._web = web
        self._summary_characters = summary_characters
        self._fetch_seconds = fetch_seconds
        self._clock = clock
        self._children = children or LimitedProcesses(CHILD_FUNCTION, CHILD_LIMITS)
        self._robots = RobotsRules(
            web, self._children.call, least_delay_seconds=least_delay_seconds, clock=clock
        )
        self._gaps = HostGaps(clock)
        self._is_closed = threading.Event()

    def complete(self, articles: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the articles, each summary replaced by its page's text or marked with why not.

        It may return fewer: MAX_PAGES pages are read, and for FETCH_SECONDS. Those left out are the
        last, and have to be given again, so that none is published without its text.
        """
        fetch = _Fetch(Deadline(self._fetch_seconds, self._clock))
        completed: list[dict[str, Any]] = []
        for article in articles:
            if not self._is_summary(article):
                completed.append(article)
                continue
            if fetch.is_over:
                break
            try:
                completed.append(self._completed(article, fetch))
            except _Later:
                break
            fetch.is_begun = True
        return completed

    def close(self) -> None:
        """Break off what waits or is read in the child process. The requests are their owner's."""
        self._is_closed.set()
        self._children.close()

    def _is_summary(self, article: dict[str, Any]) -> bool:
        return len(_readable(article)) < self._summary_characters

    def _completed(self, article: dict[str, Any], fetch: _Fetch) -> dict[str, Any]:
        """Return the article with a mark, and with its text where there is one. Raises _Later."""
        try:
            text = self._text(_checked_url(article), fetch)
            text = _without_title(text, article.get("title"))
            if len(text) < LEAST_CHARACTERS or len(text) <= len(_readable(article)):
                raise _NotRead("failed", "the page has no more text than the feed")
            if len(text) > MAX_CHARACTERS:
                raise _NotRead("failed", f"the page has more than {MAX_CHARACTERS:,} characters")
        except _NotRead as why:
            return {**article, MARK: f"{why.outcome}: {why.reason}"}
        return {**article, "content": text, MARK: "read"}

    def _text(self, url: str, fetch: _Fetch) -> str:
        """Return the text of a page's article. Raises _NotRead and _Later."""
        host = urlsplit(url).netloc.lower()
        if host in fetch.given_up:
            raise _NotRead(*fetch.given_up[host])
        delay = self._check_robots(url)
        wait = self._gaps.reserve(host, delay, fetch.deadline.seconds_left)
        if wait is None or self._is_closed.wait(wait):
            raise _Later
        fetch.pages += 1
        try:
            answer = self._answer(url)
            if answer.url != url:
                self._check_robots(answer.url)
            return self._article_of(answer)
        except _GiveUp as why:
            fetch.given_up[host] = (why.outcome, why.reason)
            raise

    def _check_robots(self, url: str) -> float:
        """Return the least seconds between two pages of the site. Raises _NotRead and _Later."""
        try:
            return self._robots.check(url)
        except Disallowed as error:
            raise _NotRead("refused", str(error)) from None
        except Closed:
            raise _Later from None

    def _answer(self, url: str) -> WebAnswer:
        try:
            answer = self._web.read(url, _HEADERS, PAGE_LIMITS)
        except Unanswered as error:
            raise _NotRead("failed", str(error)) from None
        if answer.status == OK:
            return answer
        outcome: Outcome = "refused" if answer.status in _REFUSALS else "failed"
        kind = _GiveUp if answer.status in _BUSY else _NotRead
        raise kind(outcome, f"the server answers {answer.status}")

    def _article_of(self, answer: WebAnswer) -> str:
        page = Page(answer.body, _charset_of_html(answer))
        try:
            text = self._children.call(msgspec.msgpack.encode(page))
            return msgspec.msgpack.decode(text, type=str)
        except (FunctionFailed, msgspec.DecodeError) as error:
            raise _NotRead("failed", f"the page's text: {error}") from None
        except CallFailed as error:  # another of this site's would hold others up as long
            raise _GiveUp("failed", f"the page's text: {error}") from None
        except Closed:
            raise _Later from None


class _Fetch:
    """What one fetch has come to, and may still do."""

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self.is_begun = False  # so that each fetch gets one article further at least
        self.pages = 0
        self.given_up: dict[str, tuple[Outcome, str]] = {}  # hosts, with what they answered

    @property
    def is_over(self) -> bool:
        """Whether no other page may be asked for."""
        return self.pages >= MAX_PAGES or (self.is_begun and self.deadline.is_over)


class _NotRead(Exception):
    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason


class _GiveUp(_NotRead):
    """The host is not asked again in this fetch."""


class _Later(Exception):
    """A host's turn comes after this fetch has to end, or the program ends."""


def outcome_of(article: dict[str, Any]) -> str | None:
    """Return what came of a raw article's page, an Outcome, and None where none was wanted."""
    mark = article.get(MARK)
    return mark.partition(":")[0] if isinstance(mark, str) else None


def _checked_url(article: dict[str, Any]) -> str:
    """Return where an article's page is. Raises _NotRead."""
    url = article.get("url")
    if not isinstance(url, str):
        raise _NotRead("failed", "the item has no url")
    try:
        check_url(url)
    except AddressRefused as error:
        raise _NotRead("failed", f"the item's url is not asked: {error}") from None
    return url


def _readable(article: dict[str, Any]) -> str:
    """Return about what a reader sees of an article's own text."""
    return " ".join(_MARKUP.sub(" ", article.get("content") or "").split())


def _without_title(text: str, title: str | None) -> str:
    """Return the text without a first paragraph that only repeats the article's title."""
    first, _, rest = text.partition("\n\n")
    if title and " ".join(first.split()).casefold() == " ".join(title.split()).casefold():
        return rest
    return text


def _charset_of_html(answer: WebAnswer) -> str | None:
    """Return the charset that the answer's Content-Type names. Raises _NotRead for what is no page
    in HTML."""
    content_type = answer.headers.get("content-type", "text/html")
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in _HTML:
        raise _NotRead("failed", f"the page is {one_line(kind, MAX_KIND_CHARACTERS)}, not HTML")
    charset = _CHARSET.search(content_type)
    return charset[1] if charset else None
