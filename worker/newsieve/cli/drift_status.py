"""`newsieve drift status`: shows people the state of each monitor.

Reads the state topic, and asks the broker who of the monitor's group is there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from newsieve.bootstrap import drift as assembled
from newsieve.bootstrap.drift_state import load_current_state, monitor_group
from newsieve.cli.common import ConfigOption, JsonOption, read_settings
from newsieve.drift.monitor_state import CALM, INCIDENT, StreamPart
from newsieve.drift.monitor_status import MonitorStatus
from newsieve.errors import InputFileInvalid
from newsieve.files import whole_file
from newsieve.filters.sampling import SUSPECT
from newsieve.programs.drift.current_state import CurrentState, MonitorGroup
from newsieve.records.encode import timestamp
from newsieve.terminal import echo, echo_err, show_json, show_table
from newsieve.web.drift_overview import (
    NOT_TESTED,
    OverviewItem,
    freshness,
    nothing_yet,
    overview_items,
    suspect_items,
)

MINUTES_DIGITS = len("2026-11-25T13:21")  # of a time
COLUMNS = ("filter", "stratum", "state", "evidence", "MAE", "usual", "labels", "last label", "")

Row = dict[str, Any]


def status(
    filter_: Annotated[
        str | None, typer.Option("--filter", metavar="F", help="A filter's name; default: all.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Also write a page with charts to this file."),
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show each monitor, worst first: its state, evidence, error, labels, and what to do.

    The state is that of the monitor's last commit: alerts are committed at once, everything else
    within drift.commit_seconds. The first lines say when that was, and whether a monitor is at
    work. For the broker, a monitor that was killed is at work until its session ends, some seconds
    later.

    Example: newsieve drift status
    """
    settings = read_settings(config)
    wanted = settings.filters.registry.load(filter_).name if filter_ is not None else None
    inputs = [
        item
        for item in assembled.load_filter_inputs(settings)
        if wanted in (None, item.filter.name)
    ]
    current, group = load_current_state(settings, inputs), monitor_group(settings)
    now = time.time_ns() // 1_000_000
    entries = overview_items(current, now)
    if html is not None:
        from newsieve.web.drift_page import page  # only then are templates needed

        _write(html, page(entries, current, group, now))
    rows = [*map(_row, entries), *_suspects(current), *_without_monitors(current, group)]
    if json:
        show_json([row | {"monitor": _who(group)} for row in rows])
        return
    echo(freshness(current, group, now))
    show_table("", COLUMNS, [_cells(row) for row in rows])
    for item in entries:
        if item.state not in CALM or item.commands:
            echo("")
            _show(item)


def _who(group: MonitorGroup) -> Row:
    return {
        "group": group.name,
        "at_work": group.at_work,
        "standing_by": group.standing_by,
        "why_not_known": group.why_not_known or None,
    }


def _row(item: OverviewItem) -> Row:
    action = item.alert["action"]
    return {
        "filter": item.filter.name,
        "stratum": item.stratum,
        "student": item.alert["student"],
        "state": item.state,
        "severity": item.alert["severity"],
        "cause": item.alert["cause"],
        **(_status_fields(item.status) if item.status is not None else {}),
        "advice": item.advice,
        "headline": item.alert["headline"],
        "incident_id": item.alert["incident_id"] if item.state not in CALM else None,
        "action": action,
        "commands": list(item.commands),
        "written_at": timestamp(item.written_at),
    }


def _status_fields(status: MonitorStatus) -> Row:
    state, error = status.state, status.error
    return {
        "student": status.identity.student_version,
        "cause": state.cause if state.state in INCIDENT else None,
        "since": timestamp(state.episode) if state.state not in CALM else None,
        "acknowledged": state.is_acknowledged,
        "evidence": status.value,
        "recovery": status.recovery,
        "error": None if error is None else _estimate(error),
        "labels": status.labels,
        "labels_a_day": status.labels_a_day,
        "baseline_labels": status.baseline_labels,
        "collected": status.collected,
        "last_label_at": timestamp(state.last_label_at),
        "oracle_key": state.oracle_key,
        "other_oracle_key": state.other_oracle_key,
        "shares": {name: share for name, share in status.shares.items() if share > 0},
    }


def _estimate(part: StreamPart) -> Row:
    return {
        "name": part.name,
        "share": part.share,
        "baseline": part.baseline,
        "estimate": part.estimate,
        "low": part.low,
        "high": part.high,
    }


def _suspects(current: CurrentState) -> Iterator[Row]:
    """Yield a row for each filter, student and oracle with labels of suspect articles."""
    for name, status, written_at in suspect_items(current):
        low, high = status.interval or (None, None)
        error = {"estimate": status.error, "low": low, "high": high}
        yield {
            "filter": name,
            "stratum": SUSPECT,
            "student": status.student_version,
            "state": None,
            "error": error if status.error is not None else None,
            "labels": status.labels,
            "failures": status.failures,
            "last_label_at": timestamp(status.last_label_at),
            "oracle_key": status.oracle_key,
            "advice": NOT_TESTED,
            "written_at": timestamp(written_at),
        }


def _without_monitors(current: CurrentState, group: MonitorGroup) -> Iterator[Row]:
    """Yield a row for each filter that has no monitor."""
    for name, monitored in current.monitored.items():
        if not monitored.monitor.monitors.by_identity:
            written_at = current.last_written_at(name)
            advice = nothing_yet(written_at, group)
            empty = {"stratum": None, "state": None, "advice": advice}
            yield {"filter": name, **empty, "written_at": timestamp(written_at)}


def _cells(row: Row) -> list[str]:
    if row["stratum"] == SUSPECT:
        error = row["error"]
        return [row["filter"], SUSPECT, "", "", *_mae(error), f"{row['labels']:,}", *_last(row)]
    if "evidence" not in row:
        named = [row[name] or "" for name in ("filter", "stratum", "state")]
        return [*named, *[""] * 5, row["advice"]]
    error = row["error"]
    state = row["state"] + ("!" if row["severity"] == "critical" else "")
    return [
        row["filter"],
        row["stratum"],
        state,
        f"{row['evidence']:,.0f}" if row["baseline_labels"] else "",
        *_mae(error),
        f"{row['labels']:,}",
        *_last(row),
    ]


def _mae(error: Row | None) -> tuple[str, str]:
    """Return the error, and the usual one where it is known."""
    if error is None:
        return "", ""
    around = f" ({error['low']:.2f}–{error['high']:.2f})" if error["low"] is not None else ""
    return (
        f"{error['estimate']:.2f}{around}",
        f"{error['baseline']:.2f}" if "baseline" in error else "",
    )


def _last(row: Row) -> tuple[str, str]:
    return (row["last_label_at"] or "")[:MINUTES_DIGITS].replace("T", " "), row["advice"]


def _show(item: OverviewItem) -> None:
    """Print what an alert on the item says now."""
    action = item.alert["action"]
    lines = [
        f"{item.filter.reference}, {item.stratum}: {item.state}. {item.alert['headline']}.",
        f"  cause: {item.cause}",
        f"  what to do: {action['text']} See {action['runbook']}",
        *(f"  decide: {command}" for command in item.commands),
        f"  see it again: {action['command']}",
    ]
    for line in lines:
        echo(line, is_line=True)


def _write(path: Path, text: str) -> None:
    """Write the page so that nobody reads half of it. Raises InputFileInvalid, or OSError when the
    disk is full."""
    if not path.resolve().parent.is_dir():
        raise InputFileInvalid(f"cannot write {path}: no such folder")
    with whole_file(path) as stream:
        stream.write(text.encode())
    echo_err(f"{path}: written")
