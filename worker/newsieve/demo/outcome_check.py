"""Checks that each (raw record, filter) has exactly one outcome on the topics. Pure: records are
handed to it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Position = tuple[int, int]  # partition and offset of the raw record


@dataclass
class OutcomeCheck:
    """The raw records and the outcomes that were read so far."""

    filters: Sequence[str]
    raw: set[Position] = field(default_factory=set)
    scored: list[dict[str, Any]] = field(default_factory=list)
    letters: list[dict[str, str]] = field(default_factory=list)
    latencies_seconds: list[float] = field(default_factory=list)
    _seen: dict[Position, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def add_scored(self, article: dict[str, Any], latency_seconds: float) -> None:
        """Add a ScoredArticle, and the time that passed since its raw record."""
        position = (article["input"]["partition"], article["input"]["offset"])
        self._seen[position][article["filter"]] += 1
        self.scored.append(article)
        self.latencies_seconds.append(latency_seconds)

    def add_letter(self, headers: dict[str, str]) -> None:
        """Add a dead letter's headers. Without a filter it is the outcome of all filters."""
        position = (int(headers["partition"]), int(headers["offset"]))
        for name in [headers["filter"]] if "filter" in headers else self.filters:
            self._seen[position][name] += 1
        self.letters.append(headers)

    @property
    def expected(self) -> int:
        """How many outcomes there have to be."""
        return len(self.raw) * len(self.filters)

    @property
    def missing(self) -> int:
        """How many outcomes have not come."""
        return sum(1 for p in self.raw for name in self.filters if not self._seen[p][name])

    @property
    def doubled(self) -> int:
        """How many outcomes there are too many."""
        return sum(
            count - 1 for seen in self._seen.values() for count in seen.values() if count > 1
        )

    @property
    def is_complete(self) -> bool:
        """Whether there are raw records, and all outcomes of them."""
        return bool(self.raw) and not self.missing
