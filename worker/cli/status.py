"""`newsieve drift status`: where each monitor stands, for people. Reads the state topic only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from worker.assemble import drift as assembled
from worker.assemble.shared import utc_now
from worker.cli.common import (
    ConfigOption,
    JsonOption,
    note,
    read_settings,
    say,
    show_json,
    show_table,
)
from worker.cli.page import page
from worker.codec.encode import timestamp
from worker.drift.power import days_until_found, rise_found_within
from worker.drift.readings import Reading, read
from worker.drift.states import CALM, INCIDENT, SUSPENDED
from worker.drift.watch import Watch
from worker.errors import InputFileInvalid
from worker.rules.catalogue import load

MINUTES_DIGITS = len("2026-11-25T13:21")  # of a time


def status(
    filter_: Annotated[
        str | None, typer.Option("--filter", metavar="F", help="A filter's name; default: all.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Also a page, with pictures, in this file."),
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show each monitor: its state, evidence, error, labels, and what it waits for.

    As of the monitor's last commit: alerts at once, everything else within drift.commit_seconds.

    Example: newsieve drift status
    """
    settings = read_settings(config)
    wanted = load(filter_).name if filter_ is not None else None
    grounds = [item for item in assembled.grounds(settings) if wanted in (None, item.filter.name)]
    watches = assembled.on_record(settings, grounds)
    rows = [row for watch in watches.values() for row in _rows(watch)]
    if html is not None:
        _write(html, page(list(watches.values()), utc_now()))
    if json:
        show_json(rows)
    elif rows:
        columns = ["filter", "stratum", "state", "evidence", "MAE", "usual", "labels", "last label"]
        show_table("", [*columns, ""], [_cells(row) for row in rows])
    else:
        say("no state on record: no label has come yet, or `newsieve drift` does not run")


def _rows(watch: Watch) -> Iterator[dict[str, Any]]:
    for identity, monitor in sorted(watch.all_monitors.items()):
        reading = read(monitor)
        yield {
            "filter": identity.filter,
            "stratum": identity.stratum,
            "student": identity.student_version,
            **_facts(reading),
            "advice": _advice(watch, reading),
        }
    for stratum, state in watch.signals().items():
        if state not in CALM:
            yield {"filter": watch.filter.name, "stratum": stratum, "state": state}


def _facts(reading: Reading) -> dict[str, Any]:
    here, error = reading.standing, reading.error
    return {
        "state": here.state,
        "severity": reading.severity,
        "cause": here.cause if here.state in INCIDENT else None,
        "since": timestamp(here.episode) if here.state not in CALM else None,
        "acknowledged": here.is_acknowledged,
        "evidence": reading.value,
        "recovery": reading.recovery,
        "error": None if error is None else asdict(error),
        "labels": reading.labels,
        "labels_a_day": reading.labels_a_day,
        "baseline_labels": reading.baseline_labels,
        "collected": reading.collected,
        "last_label_at": timestamp(here.last_label_at),
        "oracle_key": here.oracle_key,
        "other_oracle_key": here.other_oracle_key,
        "shares": {name: share for name, share in reading.shares.items() if share > 0},
    }


def _advice(watch: Watch, reading: Reading) -> str:
    """What there is to know or do."""
    here, name = reading.standing, watch.filter.name
    if here.state == SUSPENDED:
        return _suspended(watch, here.other_oracle_key)
    if here.awaits_verdict:
        return "an alarm waits for anchors to tell its cause"
    if here.collects:
        return f"a new baseline: {reading.collected} labels so far"
    if not reading.baseline_labels:
        return f"no baseline: newsieve drift rebaseline --filter {name}"
    if here.state in INCIDENT:
        return f"{here.cause}" + (", acknowledged" if here.is_acknowledged else "")
    return _power(reading.labels_a_day)


def _suspended(watch: Watch, other: str | None) -> str:
    if other is None:
        return "no labels: does the oracle run?"
    found = watch.difference()
    compared = f" (anchors differ by {found.error:.2f})" if found is not None else ""
    commands = f"newsieve drift accept-oracle or reject-oracle --filter {watch.filter.name}"
    return f"labels by {other}{compared}: {commands}"


def _power(labels_a_day: float | None) -> str:
    """What its rate of labels can find."""
    if labels_a_day is None:
        return ""
    return (
        f"{labels_a_day:,.0f} labels a day: a rise of {rise_found_within(labels_a_day)} in a day, "
        f"of +0.2 in {days_until_found(0.2, labels_a_day):,.1f}"
    )


def _cells(row: dict[str, Any]) -> list[str]:
    if "evidence" not in row:
        return [row["filter"], row["stratum"], row["state"], *[""] * 6]
    error = row["error"]
    state = row["state"] + ("!" if row["severity"] == "critical" else "")
    mae = f"{error['estimate']:.2f} ({error['low']:.2f}–{error['high']:.2f})" if error else ""
    return [
        row["filter"],
        row["stratum"],
        state,
        f"{row['evidence']:,.0f}" if row["baseline_labels"] else "",
        mae,
        f"{error['baseline']:.2f}" if error else "",
        f"{row['labels']:,}",
        (row["last_label_at"] or "")[:MINUTES_DIGITS].replace("T", " "),
        row["advice"],
    ]


def _write(path: Path, text: str) -> None:
    """Raises InputFileInvalid."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputFileInvalid(f"cannot write {path}: {error.strerror}") from None
    note(f"{path}: written")
