"""Asks a feed by HTTP for what has changed, and says what is new of it.

It knows no list, no schedule and no Kafka: a state comes in, and the next goes out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Final

from newsieve.feeds.document_hash import document_hash
from newsieve.feeds.feed import (
    Feed,
    FeedDocument,
    FeedParser,
    FeedUnreadable,
    FetchedFeed,
)
from newsieve.feeds.full_text import FullText
from newsieve.feeds.items import MAX_ITEMS, articles_of
from newsieve.feeds.known_items import KnownItems
from newsieve.feeds.limited_parsing import LimitedFeedParser
from newsieve.feeds.next_request import (
    Intervals,
    after_answer,
    after_failure,
    after_gone,
    asked_wait,
)
from newsieve.outgoing.web_reader import Unanswered, WebAnswer, WebReader
from newsieve_schemas.ingest import FeedState

ACCEPT: Final = (
    "application/rss+xml, application/atom+xml, application/feed+json, application/rdf+xml, "
    "application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5"
)
OK: Final = 200
NOT_MODIFIED: Final = 304
GONE: Final = 410
MAX_VALIDATOR_CHARACTERS: Final = 1_000


class HttpFeedFetcher:
    """A FeedFetcher of the public Internet. It reads documents in processes of its own, unless
    `parse` does."""

    def __init__(
        self,
        web: WebReader,
        *,
        intervals: Intervals | None = None,
        parse: FeedParser | None = None,
        full_text: FullText | None = None,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._web = web
        self._intervals = intervals or Intervals()
        self._processes = LimitedFeedParser()  # of which none is started before its first call
        self._parse: FeedParser = parse or self._processes
        self._full_text = full_text
        self._now = now

    def fetch(self, feed: Feed, state: FeedState | None) -> FetchedFeed:
        """Ask a feed, once, as the protocol says."""
        state = state or _unasked(feed.url)
        try:
            answer = self._web.read(state.moved_to or feed.url, _conditions(state))
            return self._outcome(feed, state, answer)
        except (Unanswered, FeedUnreadable) as error:
            return self._failed(state, str(error))

    def close(self) -> None:
        """Break off what is under way."""
        if self._full_text is not None:
            self._full_text.close()
        self._web.close()
        self._processes.close()

    def _outcome(self, feed: Feed, state: FeedState, answer: WebAnswer) -> FetchedFeed:
        """Return what an answer means. Raises FeedUnreadable."""
        if answer.status == GONE:
            return self._gone(state)
        if answer.status == NOT_MODIFIED or document_hash(answer.body) == state.content:
            return self._unchanged(state, answer)
        if answer.status == OK:
            return self._read(feed, state, answer)
        wait = asked_wait(answer.headers, self._now().timestamp())
        return self._failed(state, f"the server answers {answer.status}", wait)

    def _read(self, feed: Feed, state: FeedState, answer: WebAnswer) -> FetchedFeed:
        """Return the news of a document. Raises FeedUnreadable."""
        headers = answer.headers
        parsed = self._parse(
            FeedDocument(
                answer.body,
                answer.url,
                headers.get("content-type"),
                headers.get("content-language"),
            )
        )
        known = KnownItems.parse(state.items, state.current_items, state.return_depth)
        articles = articles_of(feed, parsed)
        news = [each for each in articles if known.is_news(each.seen)]
        told = [each.article for each in news]
        if feed.full_text and self._full_text is not None:
            told = self._full_text.complete(told)
        later = {each.seen for each in news[len(told) :]}
        known = known.after(each.seen for each in articles if each.seen not in later)
        answered = state.model_copy(
            update={
                "content": document_hash(answer.body),
                "items": known.format(),
                "current_items": known.current,
                "return_depth": known.return_depth,
                "interval_seconds": parsed.interval_seconds,
            }
        )
        answered, reason = self._answered(answered, answer)
        if later:
            answered = self._unfinished(answered)
        reasons = [reason, _left_out(len(parsed.items), len(articles))]
        said = "; ".join(each for each in reasons if each is not None)
        return FetchedFeed("read", told, answered, said or None)

    def _unfinished(self, state: FeedState) -> FeedState:
        """Return the state in which the same document is read again as soon as may be."""
        next_at = self._now() + dt.timedelta(seconds=self._intervals.least)
        return state.model_copy(
            update={
                "content": None,
                "etag": None,
                "last_modified": None,
                "next_at": _moment(next_at),
            }
        )

    def _unchanged(self, state: FeedState, answer: WebAnswer) -> FetchedFeed:
        answered, reason = self._answered(state, answer)
        return FetchedFeed("unchanged", [], answered, reason)

    def _answered(self, state: FeedState, answer: WebAnswer) -> tuple[FeedState, str | None]:
        """Return the state after a good answer, and what is to be said of it."""
        now = self._now()
        wait = after_answer(
            self._intervals, state.url, now.timestamp(), state.interval_seconds, answer.headers
        )
        moved_to = answer.moved_to or state.moved_to
        has_moved = moved_to != state.moved_to
        is_same = answer.status == NOT_MODIFIED
        answered = state.model_copy(
            update={
                "etag": _validator(answer, "etag") or (state.etag if is_same else None),
                "last_modified": _validator(answer, "last-modified")
                or (state.last_modified if is_same else None),
                "checked_at": _moment(now),
                "next_at": _moment(now + dt.timedelta(seconds=wait)),
                "failures": 0,
                "failure": None,
                "gone": False,
                "moved_to": moved_to,
            }
        )
        return answered, f"it has moved for good to {moved_to}" if has_moved else None

    def _failed(self, state: FeedState, reason: str, wait: float | None = None) -> FetchedFeed:
        now = self._now()
        failures = state.failures + 1
        seconds = after_failure(self._intervals, state.url, now.timestamp(), failures, wait)
        failed = state.model_copy(
            update={
                "checked_at": _moment(now),
                "next_at": _moment(now + dt.timedelta(seconds=seconds)),
                "failures": failures,
                "failure": reason,
                "moved_to": None,  # its first address will say whether that is still true
            }
        )
        return FetchedFeed("failed", [], failed, reason, wait)

    def _gone(self, state: FeedState) -> FetchedFeed:
        now = self._now()
        seconds = after_gone(state.url, now.timestamp())
        reason = "the server says that it is gone for good"
        gone = state.model_copy(
            update={
                "checked_at": _moment(now),
                "next_at": _moment(now + dt.timedelta(seconds=seconds)),
                "failures": state.failures + 1,
                "failure": reason,
                "gone": True,
                "moved_to": None,
            }
        )
        return FetchedFeed("gone", [], gone, reason)


def _unasked(url: str) -> FeedState:
    """Return the state of a feed of which nothing is known."""
    return FeedState(
        url=url,
        etag=None,
        last_modified=None,
        content=None,
        items="",
        current_items=0,
        return_depth=0,
        interval_seconds=None,
        checked_at="",
        next_at="",
        failures=0,
        failure=None,
        gone=False,
        moved_to=None,
    )


def _moment(moment: dt.datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _left_out(items: int, articles: int) -> str | None:
    if items > MAX_ITEMS:
        return f"only the first {MAX_ITEMS:,} of its items are read"
    if items and not articles:
        return f"its items have neither a title nor a content: {items:,}"
    return None


def _conditions(state: FeedState) -> dict[str, str]:
    headers = {"accept": ACCEPT}
    if state.etag is not None:
        headers["if-none-match"] = state.etag
    if state.last_modified is not None:
        headers["if-modified-since"] = state.last_modified
    return headers


def _validator(answer: WebAnswer, name: str) -> str | None:
    """Return a validator that can be sent back: printable ASCII, and not endless."""
    value = answer.headers.get(name)
    if not value or len(value) > MAX_VALIDATOR_CHARACTERS:
        return None
    return value if value.isascii() and value.isprintable() else None
