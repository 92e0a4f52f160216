"""How many outcomes there are, and how many come: what pages count. It knows no page."""

from __future__ import annotations

from typing import Final, NamedTuple

from newsieve.store.reader import StoreReader

RECENT: Final = 2_000  # outcomes that say how many come now


class Total(NamedTuple):
    """How many outcomes a tier of a filter has, copies included."""

    filter: str
    tier: str
    outcomes: int


class ScoredAt(NamedTuple):
    """When an outcome of a tier was scored, in milliseconds since 1970."""

    filter: str
    tier: str
    scored_ms: int


def totals(reader: StoreReader) -> list[Total]:
    """Return the totals of all filters and tiers in the store."""
    rows = reader.rows("SELECT filter, tier, sum(count) FROM tallies GROUP BY 1, 2")
    return [Total._make(row) for row in rows]


def recently_scored(reader: StoreReader, limit: int = RECENT) -> list[ScoredAt]:
    """Return the newest outcomes, the newest first."""
    rows = reader.rows(
        "SELECT filter, tier, scored_ms FROM outcomes ORDER BY id DESC LIMIT ?", [limit]
    )
    return [ScoredAt._make(row) for row in rows]
