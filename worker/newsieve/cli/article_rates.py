"""Says how the articles of a sample came in, for `filters check` and `doctor`.

It reads no sample itself.
"""

from __future__ import annotations

from typing import Any, Final

from newsieve.records.article_tally import ArticleTally

TITLE_ONLY: Final = "most of these articles are a title alone: their body may be under other names"
TITLE_ONLY_MEND: Final = "worker.fields has the names that are read (docs/how-to/feed.md)"


def rates(tally: ArticleTally) -> dict[str, Any]:
    """Return the rates as JSON has them."""
    total = max(tally.articles, 1)
    return {
        "title_only": tally.title_only / total,
        "with_markup": tally.with_markup / total,
        "dates_not_understood": tally.unknown_dates / total,
        "envelopes": {name: count / total for name, count in sorted(tally.envelopes.items())},
    }


def sentence(tally: ArticleTally) -> str:
    """Return the rates as a person reads them."""
    total = max(tally.articles, 1)
    parts = [
        f"{tally.title_only / total:.0%} are a title alone",
        f"{tally.with_markup / total:.0%} are HTML",
        f"{tally.unknown_dates / total:.0%} have a date that is not understood",
        *(f"{count / total:.0%} came in {name}" for name, count in sorted(tally.envelopes.items())),
    ]
    return f"of {tally.articles} articles, " + ", ".join(parts)
