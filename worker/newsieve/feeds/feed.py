"""A feed that is asked for news, and what an answer gives. It knows neither HTTP nor Kafka."""

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


class FeedFetcher(Protocol):
    """Asks one feed for news."""

    def fetch(self, feed: Feed, state: FeedState | None) -> FetchedFeed:
        """Ask a feed, once. It blocks, within limits of time; threads may call it side by side.
        Never raises: whatever is wrong with a feed is an outcome."""
        ...

    def close(self) -> None:
        """Break off what is under way, and release what the fetcher holds."""
        ...
