"""What the feeds loop tells its observer. It does not know what the observer makes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from newsieve.feeds.feed import Feed
from newsieve.feeds.full_text import outcome_of
from newsieve.feeds.known_items import KnownItems
from newsieve.programs.ingest.fetch_pool import EndedFetch
from newsieve_schemas.ingest import FeedState

FeedCondition = Literal["ok", "failing", "gone", "new"]


@dataclass(slots=True)
class FeedsTransaction:
    """What one transaction holds, in numbers: fetches by outcome, articles that are new or another
    version of a known one, and those that were left out; summaries by what came of their pages."""

    fetches: Counter[str] = field(default_factory=Counter)
    pages: Counter[str] = field(default_factory=Counter)
    new: int = 0
    changed: int = 0
    too_large: int = 0

    def add(self, ended: EndedFetch) -> None:
        """Count what one answer gives."""
        self.fetches[ended.fetched.outcome] += 1
        self.pages.update(filter(None, map(outcome_of, ended.fetched.articles)))
        articles = len(ended.fetched.articles)
        if articles:
            known = item_hashes(ended.asked_with)
            new = min(len(item_hashes(ended.fetched.state) - known), articles)
            self.new += new
            self.changed += articles - new


def item_hashes(state: FeedState | None) -> frozenset[bytes]:
    """Return the hashes of the items that are known of a feed."""
    if state is None:
        return frozenset()
    return frozenset(KnownItems.parse(state.items, 0, 0).hashes)


class FeedsObserver(Protocol):
    """The observer of one feeds loop; all its methods are called by the loop's thread."""

    def heartbeat(self) -> None:
        """The loop is alive."""
        ...

    def fetched(self, ended: EndedFetch) -> None:
        """A fetch has ended. What it gave is not committed yet."""
        ...

    def article_too_large(self, feed: Feed, article_id: str, reason: str) -> None:
        """An article is larger than the broker accepts, and is left out."""
        ...

    def feeds_committed(self, transaction: FeedsTransaction, seconds: float) -> None:
        """A transaction was committed, which took so long."""
        ...

    def feeds_measured(self, conditions: Mapping[FeedCondition, int], overdue: int) -> None:
        """How many feeds are in which condition, and how many wait for too long."""
        ...

    def list_read(self, feeds: int, failure: str | None) -> None:
        """The list has changed and was read again; with a failure it could not be, and the former
        one holds."""
        ...

    def feeds_drained(self, broken_off: int) -> None:
        """The program has stopped; so many fetches were broken off."""
        ...
