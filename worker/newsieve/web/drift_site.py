"""Drift as pages of the site: the state of all monitors, and the course of each incident.

It knows neither Kafka nor the store's tables.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final, NamedTuple

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from newsieve.drift.error_streams import streams_of
from newsieve.filters.registry import Filter
from newsieve.store.incidents import alerts_of_incident, newest_alerts
from newsieve.store.rows import milliseconds_of
from newsieve.web.drift_overview import duration, overview_items
from newsieve.web.drift_page import COLOURS, drift_values
from newsieve.web.layout import Layout
from newsieve.web.problems import HttpError
from newsieve.web.site import Site
from newsieve_schemas.drift import DriftAlert

OVER: Final = frozenset({"resolved", "ok"})


class Incident(NamedTuple):
    """An incident in a list: its last transition, and since when it is known."""

    last: DriftAlert
    since: str
    transitions: int
    is_over: bool


class StreamRow(NamedTuple):
    """A stream's part in an alert, in words; a bias is that of student minus oracle."""

    title: str
    share: float
    usual: float
    now: float
    low: float
    high: float


def drift_site(site: Site, layout: Layout) -> APIRouter:
    """Return the routes of drift and incidents."""
    router = APIRouter(include_in_schema=False)

    @router.get("/drift")
    def drift(request: Request) -> Response:
        """Show the state of all monitors, worst first, and the incidents."""
        report = site.drift.get()
        values = {}
        if report is not None:
            items = overview_items(report.current, report.read_ms)
            values = drift_values(items, report.current, report.group, report.read_ms)
        alerts = _alerts(newest_alerts(site.reader))
        age_ms = time.time_ns() // 1_000_000 - report.read_ms if report is not None else 0
        return layout.page(
            request,
            "drift_site.html",
            report=report,
            why_not=site.drift.why_not,
            age=duration(age_ms),
            incidents=_incidents(alerts),
            **({"colours": COLOURS} | values),
        )

    @router.get("/drift/incidents/{incident_id}")
    def incident(request: Request, incident_id: str) -> Response:
        """Show the course of an incident, its causes, and what to do."""
        alerts = _alerts(alerts_of_incident(site.reader, incident_id))
        if not alerts:
            raise HttpError(404, "This incident is not in the store, or not any more.")
        return layout.page(
            request,
            "incident.html",
            last=alerts[-1],
            alerts=alerts,
            streams=stream_rows(alerts[-1], site.filters.get(alerts[-1].filter)),
            examples=list(dict.fromkeys(
                name for alert in reversed(alerts) for name in alert.example_article_ids
            )),
            colours=COLOURS,
            is_over=alerts[-1].state in OVER,
            lasted=_lasted(alerts),
        )  # fmt: skip

    return router


def stream_rows(alert: DriftAlert, filter_: Filter | None) -> list[StreamRow]:
    """Return an alert's streams in words, where the filter is one that is known here."""
    known = {item.name: item for item in streams_of(filter_)} if filter_ is not None else {}
    rows = []
    for part in alert.streams:
        stream = known.get(part.name)
        values = [part.baseline, part.estimate, *part.interval]
        if stream is not None and stream.kind == "bias_down":
            values = [-part.baseline, -part.estimate, *(-end for end in reversed(part.interval))]
        title = stream.title if stream is not None else part.name
        rows.append(StreamRow(title, part.share, *values))
    return rows


def _alerts(records: Iterable[bytes]) -> list[DriftAlert]:
    """Return the alerts that can be read; the topic may have records of other versions."""
    found = []
    for record in records:
        try:
            found.append(DriftAlert.model_validate_json(record))
        except ValidationError:
            continue
    return found


def _incidents(alerts: Iterable[DriftAlert]) -> list[Incident]:
    """Return the incidents of these alerts, which come newest first."""
    by_id: dict[str, list[DriftAlert]] = {}
    for alert in alerts:
        by_id.setdefault(alert.incident_id, []).append(alert)
    return [
        Incident(
            course[0],
            course[-1].raised_at,
            sum(not alert.repeated for alert in course),
            course[0].state in OVER,
        )
        for course in by_id.values()
    ]


def _lasted(alerts: list[DriftAlert]) -> str:
    """Return how long it is, or was, from the first transition to the last."""
    first, last = milliseconds_of(alerts[0].raised_at), milliseconds_of(alerts[-1].raised_at)
    return duration(last - first) if first is not None and last is not None else ""
