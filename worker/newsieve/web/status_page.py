"""The state of the stream as a page: throughput, lag, latency, and whether the topics are read.

It knows no SQL and no markup.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from newsieve.store.counts import (
    RECENT,
    ScoredAt,
    Tally,
    recent_latencies,
    recently_scored,
    tallies,
)
from newsieve.store.writer import HOUR_MS
from newsieve.web.drift_overview import duration
from newsieve.web.layout import Layout
from newsieve.web.site import Site
from newsieve.web.throughput_chart import hours_chart

HOURS: Final = 24
MINUTE_MS: Final = 60_000
LATENCIES: Final = 1_000
QUANTILES: Final = (50, 95, 99)


class Rate(NamedTuple):
    """How many outcomes of a filter's tier came within the last minute, in the present hour of the
    clock, and within the last day."""

    filter: str
    tier: str
    per_minute: float
    this_hour: int
    last_day: int


class Behind(NamedTuple):
    """How many records of a topic the store has not read."""

    topic: str
    records: int


def status_page(site: Site, layout: Layout) -> APIRouter:
    """Return the route of the status."""
    router = APIRouter(include_in_schema=False)
    reader = site.reader

    @router.get("/status")
    def status(request: Request) -> Response:
        """Show throughput, lag and latency."""
        now_ms = time.time_ns() // 1_000_000
        hour = now_ms // HOUR_MS
        by_hour = tallies(reader, hour - HOURS + 1)
        recent = recently_scored(reader)
        rates = rates_of(by_hour, recent, now_ms)
        latencies = recent_latencies(reader, LATENCIES)
        return layout.page(
            request,
            "status.html",
            is_connected=site.topics.is_connected,
            behind=behind_by_topic(site.topics.lag),
            worker_lag=site.worker_lag(),
            rates=rates,
            per_minute=sum(rate.per_minute for rate in rates),
            this_hour=sum(rate.this_hour for rate in rates),
            latencies=len(latencies),
            quantiles=quantiles(latencies),
            newest=max((item.scored_ms for item in recent), default=None),
            now=now_ms,
            duration=duration,
            chart=hours_chart(by_hour, hour, HOURS) if by_hour else None,
        )

    return router


def rates_of(by_hour: Sequence[Tally], recent: Sequence[ScoredAt], now_ms: int) -> list[Rate]:
    """Return the rates of all tiers, by filter."""
    this_hour = now_ms // HOUR_MS
    minute = _per_minute(recent, now_ms)
    days: dict[tuple[str, str], int] = {}
    hours: dict[tuple[str, str], int] = {}
    for tally in by_hour:
        key = tally.filter, tally.tier
        days[key] = days.get(key, 0) + tally.outcomes
        if tally.hour == this_hour:
            hours[key] = tally.outcomes
    return [Rate(*key, minute.get(key, 0.0), hours.get(key, 0), days[key]) for key in sorted(days)]


def behind_by_topic(lag: Mapping[tuple[str, int], int]) -> list[Behind]:
    """Return how many records of each topic are not read, over its partitions."""
    topics: dict[str, int] = {}
    for (topic, _), records in lag.items():
        topics[topic] = topics.get(topic, 0) + records
    return [Behind(topic, topics[topic]) for topic in sorted(topics)]


def quantiles(latencies_ms: Sequence[int]) -> list[tuple[int, str]]:
    """Return the quantiles of latencies, for people; empty where there is none."""
    if not latencies_ms:
        return []
    values = np.percentile(np.array(latencies_ms), QUANTILES).tolist()
    return [
        (quantile, f"{value:,.0f} ms" if value < 10_000 else f"{value / 1_000:,.1f} s")  # noqa: PLR2004 - then seconds read better
        for quantile, value in zip(QUANTILES, values, strict=True)
    ]


def _per_minute(recent: Sequence[ScoredAt], now_ms: int) -> dict[tuple[str, str], float]:
    """Return each tier's outcomes of the last minute; where more came than are known, at the rate
    of those that are known."""
    last = [item for item in recent if item.scored_ms > now_ms - MINUTE_MS]
    span_ms = float(MINUTE_MS)
    if len(last) == RECENT:
        span_ms = max(now_ms - min(item.scored_ms for item in last), 1)
    counts: dict[tuple[str, str], float] = {}
    for item in last:
        key = item.filter, item.tier
        counts[key] = counts.get(key, 0.0) + MINUTE_MS / span_ms
    return counts
