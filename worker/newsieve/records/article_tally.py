"""Counts articles by how they came in: as a title alone, as HTML, in which envelope.

It knows what the decoder says of an article, and nothing of who counts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from newsieve.filters.article import Article


@dataclass(slots=True)
class ArticleTally:
    """How many articles there are, and of how many each thing is true."""

    articles: int = 0
    title_only: int = 0
    unknown_dates: int = 0
    with_markup: int = 0
    envelopes: Counter[str] = field(default_factory=Counter)

    def add(self, article: Article) -> None:
        """Count what is true of one article."""
        self.articles += 1
        self.title_only += not article.has_body
        self.unknown_dates += article.has_unknown_date
        self.with_markup += article.has_markup
        self.envelopes.update(article.envelopes)

    @property
    def is_mostly_title_only(self) -> bool:
        """Whether more than half of the articles have no body."""
        return 2 * self.title_only > self.articles
