"""The counters of how articles come in: without a body, as HTML, in which envelope.

It knows no article, only how many there are.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from newsieve.records.article_tally import ArticleTally
from newsieve.records.envelopes import ENVELOPES


class ArticleCounters:
    """Counts articles by what their records were like, once they are committed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._title_only = Counter(
            "newsieve_articles_without_body",
            "Articles scored by their title alone.",
            registry=registry,
        )
        self._markup = Counter(
            "newsieve_articles_with_markup", "Articles whose content is HTML.", registry=registry
        )
        self._unknown_dates = Counter(
            "newsieve_dates_not_understood",
            "Articles whose date is of no form that is read.",
            registry=registry,
        )
        self._envelopes = Counter(
            "newsieve_enveloped_articles",
            "Articles that came in an envelope, by which.",
            ("envelope",),
            registry=registry,
        )
        for envelope in ENVELOPES:  # before they count, or the first would be no increase
            self._envelopes.labels(envelope)

    def committed(self, tally: ArticleTally) -> None:
        """Count the articles of a committed transaction."""
        self._title_only.inc(tally.title_only)
        self._markup.inc(tally.with_markup)
        self._unknown_dates.inc(tally.unknown_dates)
        for envelope, count in tally.envelopes.items():
            self._envelopes.labels(envelope).inc(count)
