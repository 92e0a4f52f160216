"""Did each (raw record, filter) end in exactly one outcome? Read back from the topics. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Position = tuple[int, int]  # partition and offset of the raw record


@dataclass
class OutcomeCheck:
    """Outcomes as a subscriber sees them."""

    filters: Sequence[str]
    raw: set[Position] = field(default_factory=set)
    scored: list[dict[str, Any]] = field(default_factory=list)
    letters: list[dict[str, str]] = field(default_factory=list)
    latencies_seconds: list[float] = field(default_factory=list)
    _seen: dict[Position, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def add_scored(self, facts: dict[str, Any], latency_seconds: float) -> None:
        """A ScoredArticle, and the time from its raw record to it."""
        position = (facts["input"]["partition"], facts["input"]["offset"])
        self._seen[position][facts["filter"]] += 1
        self.scored.append(facts)
        self.latencies_seconds.append(latency_seconds)

    def add_letter(self, why: dict[str, str]) -> None:
        """A dead letter's headers. Without a filter it stands for all of them."""
        position = (int(why["partition"]), int(why["offset"]))
        for name in [why["filter"]] if "filter" in why else self.filters:
            self._seen[position][name] += 1
        self.letters.append(why)

    @property
    def expected(self) -> int:
        return len(self.raw) * len(self.filters)

    @property
    def missing(self) -> int:
        return sum(1 for p in self.raw for name in self.filters if not self._seen[p][name])

    @property
    def doubled(self) -> int:
        return sum(
            count - 1 for seen in self._seen.values() for count in seen.values() if count > 1
        )

    @property
    def is_complete(self) -> bool:
        return bool(self.raw) and not self.missing
