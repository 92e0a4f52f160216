"""`newsieve drift status --html`: one page that needs nothing else, no script, no network.

A card for each monitor, worst first: what an alert of it says now, the course of the evidence and
of the error over its last labels, and whose the evidence is; then, by filter, what comes in. The
templates `drift.html` and `drift_body.html` have the markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from newsieve.drift.monitor_state import (
    ALERT,
    CALM,
    INCIDENT,
    RECOVERING,
    SUSPENDED,
    WARMING,
    WARNING,
)
from newsieve.drift.monitor_status import MonitorStatus
from newsieve.drift.recent_labels import FEWEST
from newsieve.programs.drift.current_state import CurrentState, MonitorGroup
from newsieve.web.charts import FRAME, Chart, error_chart, evidence_chart, path
from newsieve.web.drift_overview import (
    NOT_TESTED,
    OverviewItem,
    duration,
    freshness,
    moment,
    nothing_yet,
)
from newsieve.web.templating import environment

WORTH_SHOWING: Final = 0.005  # of the evidence; smaller shares would read 0 %
COLOURS: Final[dict[str, str]] = {
    ALERT: "bad",
    RECOVERING: "warn",
    WARNING: "warn",
    SUSPENDED: "warn",
    WARMING: "warn",  # nothing is tested
}


class Card(NamedTuple):
    """One monitor's card; pictures are None where there is nothing to draw."""

    item: OverviewItem
    details: list[str]
    is_held: bool  # the evidence, since an alarm
    evidence: Chart | None
    error: Chart | None
    attribution: list[tuple[str, float, None]]


def page(
    items: Sequence[OverviewItem], current: CurrentState, group: MonitorGroup, now: int
) -> str:
    """Return the whole page. `now` is when the state was read, in milliseconds."""
    template = environment().get_template("drift.html")
    return template.render(drift_values(items, current, group, now))


def drift_values(
    items: Sequence[OverviewItem], current: CurrentState, group: MonitorGroup, now: int
) -> dict[str, Any]:
    """Return what `drift_body.html` shows. `now` is when the state was read, in milliseconds."""
    return {
        "cards": [_card(item, now) for item in items],
        "filters": [
            (monitored.monitor, current.last_written_at(name))
            for name, monitored in current.monitored.items()
        ],
        "group": group,
        "now": now,
        "freshness": freshness(current, group, now),
        "moment": moment,
        "nothing_yet": nothing_yet,
        "path": path,
        "frame": FRAME,
        "colours": COLOURS,
        "fewest_labels": FEWEST,
        "not_tested": NOT_TESTED,
    }


def _card(item: OverviewItem, now: int) -> Card:
    status = item.status
    if status is None:
        return Card(item, [], is_held=False, evidence=None, error=None, attribution=[])
    history = status.history if status.history is not None and status.history.positions else None
    usual = status.error.baseline if status.error is not None else None
    return Card(
        item=item,
        details=list(_details(item, status, now)),
        is_held=status.state.state in INCIDENT,
        evidence=evidence_chart(history) if history is not None else None,
        error=error_chart(history, usual) if history is not None else None,
        attribution=_attribution(status.group_shares),
    )


def _details(item: OverviewItem, status: MonitorStatus, now: int) -> Iterator[str]:
    """Yield what else is known of a monitor, in the order in which it is read."""
    state = status.state
    if status.baseline_labels:
        yield f"{status.labels:,} labels tested against {status.baseline_labels:,}"
        yield f"evidence {status.value:,.0f}"
    if status.error is not None:
        error = status.error
        yield (
            f"MAE {error.estimate:.2f} (95 % {error.low:.2f}–{error.high:.2f}, last "
            f"{status.recent_labels} labels), {error.baseline:.2f} is usual"
        )
    if (item.advice and item.cause == "") or state.collects or state.awaits_cause:
        yield item.advice
    if state.is_acknowledged and state.state not in CALM:
        yield "acknowledged"
    if state.state not in CALM:
        yield f"since {moment(state.episode)}"
    if state.last_label_at is not None:
        yield f"last label {moment(state.last_label_at)}"
    if state.oracle_key:
        yield f"oracle {state.oracle_key}"
    if item.written_at is not None:
        yield (f"state written {moment(item.written_at)}, {duration(now - item.written_at)} ago")


def _attribution(shares: Mapping[str, float]) -> list[tuple[str, float, None]]:
    """Return the shares of the evidence that are worth showing, the largest first."""
    worth = [(name, share, None) for name, share in shares.items() if share >= WORTH_SHOWING]
    return sorted(worth, key=lambda row: -row[1])
