"""What one transaction holds, in numbers, and the kinds of faults that abort one.

Metrics and log lines are made of it. Knows no program: what a program tells its own observer is
declared beside that program's loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from newsieve.filters.article import Article
from newsieve.records.article_tally import ArticleTally
from newsieve.records.decode import RawRecord
from newsieve.stream.outcome import Outcome

# A fault that passes, one that is on no list and may or may not pass, one for a person to repair.
AbortFault = Literal["passing", "unknown", "permanent"]


@dataclass(slots=True)
class TransactionCounts:
    """What one transaction holds, in numbers; it keeps no record."""

    records: int = 0
    tombstones: int = 0
    nulled_fields: int = 0
    on_record: int = 0  # tier records that a backfill did not publish again
    # filter ("" when nothing was decoded), outcome, tier or stage or ""
    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    suspect: Counter[str] = field(default_factory=Counter)  # articles that speak to a model, by how
    articles: ArticleTally = field(default_factory=ArticleTally)
    timestamps_ms: list[int] = field(default_factory=list)

    def add(self, record: RawRecord, outcomes: Sequence[Outcome]) -> None:
        """Count one consumed record and its outcomes."""
        self.records += 1
        if record.timestamp_ms is not None:
            self.timestamps_ms.append(record.timestamp_ms)
        for outcome in outcomes:
            detail = outcome.error.stage if outcome.error is not None else outcome.tier or ""
            self.outcomes[outcome.filter or "", outcome.outcome, detail] += 1
            self.on_record += outcome.is_on_record

    def add_article(self, article: Article) -> None:
        """Count what there is to say about a record that is an article."""
        self.nulled_fields += len(article.nulled)
        self.articles.add(article)
