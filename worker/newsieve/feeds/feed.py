"""A feed that is asked for news, what its document says, and what an answer gives.

It knows neither HTTP nor Kafka, nor any format of feeds.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol

from newsieve_schemas.ingest import FeedState

FetchOutcome = Literal["read", "unchanged", "failed", "gone"]


class Feed(NamedTuple):
    """A feed of the list. `url` is its key in the state topic."""

    url: str
    title: str | None = None  # the list's own name for it: the articles' source
    full_text: bool = False  # whether the pages behind summaries are read


class FetchedFeed(NamedTuple):
    """An answer: the articles that are new or changed, oldest first, as raw articles that JSON can
    say, and the state that goes with them. `reason` is for the log, None where all is well."""

    outcome: FetchOutcome
    articles: list[dict[str, Any]]
    state: FeedState
    reason: str | None = None
    # How long the host wants no request, for this feed or others: its Retry-After, within bounds.
    host_wait_seconds: float | None = None


class FeedFetcher(Protocol):
    """Asks one feed for news."""

    def fetch(self, feed: Feed, state: FeedState | None) -> FetchedFeed:
        """Ask a feed, once. It blocks, within limits of time; threads may call it side by side.
        Never raises: whatever is wrong with a feed is an outcome. Once the fetcher is closed, what
        it returns says nothing about the feed."""
        ...

    def close(self) -> None:
        """Break off what is under way, and release what the fetcher holds."""
        ...


class FeedDocument(NamedTuple):
    """The body of an answer, and what is needed to read it."""

    body: bytes
    url: str  # where it was read: links are relative to it
    content_type: str | None = None
    content_language: str | None = None


class FeedItem(NamedTuple):
    """One item as the document has it. Texts are HTML where the format says so."""

    guid: str | None = None
    url: str | None = None  # absolute
    title: str | None = None
    content: str | None = None
    language: str | None = None
    published_at: str | None = None  # ISO 8601, UTC
    updated_at: str | None = None  # the same
    tags: tuple[str, ...] = ()


class ParsedFeed(NamedTuple):
    """What a document says. Plain values, which another process can send."""

    title: str | None
    language: str | None
    interval_seconds: int | None  # how often it changes, in its own words
    items: tuple[FeedItem, ...]  # in the document's order, which usually has the newest first


class FeedUnreadable(Exception):
    """A document is no feed, or cannot be read within limits: `str` says why, for people."""


class FeedParser(Protocol):
    """Reads a document of any format. It may do so in a process of its own."""

    def __call__(self, document: FeedDocument, /) -> ParsedFeed:
        """Return what the document says. Raises FeedUnreadable, and nothing else."""
        ...
