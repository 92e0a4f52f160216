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


class Tally(NamedTuple):
    """How many outcomes of a tier came in an hour, which is counted since 1970."""

    filter: str
    tier: str
    hour: int
    outcomes: int


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


def tallies(reader: StoreReader, since_hour: int) -> list[Tally]:
    """Return the counts of each tier and hour, from an hour on."""
    sql = "SELECT filter, tier, hour, count FROM tallies WHERE hour >= ? ORDER BY hour"
    return [Tally._make(row) for row in reader.rows(sql, [since_hour])]


def recent_latencies(reader: StoreReader, limit: int = 1_000) -> list[int]:
    """Return how long after their raw records the newest outcomes were published, in
    milliseconds."""
    rows = reader.rows(
        "SELECT latency_ms FROM outcomes WHERE id > "
        "(SELECT ifnull(max(id), 0) FROM outcomes) - ? AND latency_ms IS NOT NULL",
        [limit],
    )
    return [row[0] for row in rows]


def recent_values(reader: StoreReader, column: str, limit: int = RECENT) -> list[str]:
    """Return the sources, or languages, of the newest outcomes, the most frequent first."""
    if column not in {"source", "language"}:
        raise ValueError(column)
    rows = reader.rows(
        f"SELECT {column}, count(*) AS times FROM outcomes WHERE id > "  # noqa: S608 - one of two
        f"(SELECT ifnull(max(id), 0) FROM outcomes) - ? AND {column} IS NOT NULL "
        "GROUP BY 1 ORDER BY times DESC LIMIT 100",
        [limit],
    )
    return [row[0] for row in rows]
