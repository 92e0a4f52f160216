"""`newsieve drift status --html`: one page that needs nothing else, no script, no network.

A card for each monitor, worst first: what an alert of it says now, the course of the evidence and
of the error over its last labels, and whose the evidence is; then, by filter, what comes in.
Everything that others wrote is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from newsieve.bootstrap.drift_state import CurrentState, MonitorGroup
from newsieve.drift.data_drift import Shares
from newsieve.drift.filter_monitor import FilterMonitor
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
from newsieve.web.charts import bars, error_chart, escape, evidence_chart, pairs
from newsieve.web.drift_overview import (
    NOT_TESTED,
    OverviewItem,
    duration,
    freshness,
    moment,
    nothing_yet,
)

SHORT_HASH: Final = 19  # characters of "sha256:…" that tell students apart
WORTH_SHOWING: Final = 0.005  # of the evidence; smaller shares would read 0 %
COLOURS: Final[dict[str, str]] = {
    ALERT: "bad",
    RECOVERING: "warn",
    WARNING: "warn",
    SUSPENDED: "warn",
    WARMING: "warn",  # nothing is tested
}
# A browser's second lock, should an escape be missing: no script, nothing fetched, no form.
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #545e69; --line: #c9cfd6; --back: #fff;
  --card: #f6f7f9; --blue: #2563c9; --red: #b92f26; --amber: #8f5505; --green: #26713a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #a3adb7; --line: #39424c;
  --back: #14181c; --card: #1c2228; --blue: #6ea8fe; --red: #ff7b72; --amber: #e3a34f;
  --green: #6cc183; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back);
  max-width: 76rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0; } h2 { margin: 2.5rem 0 .5rem; font-size: 1.25rem; }
h3 { margin: 0 0 .25rem; font-size: 1.05rem; } h4 { margin: 1rem 0 .25rem; font-size: .9rem; }
p { margin: .25rem 0; } .soft { color: var(--soft); } .headline { font-weight: 600; }
.card, .notice { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 1rem 1.25rem; margin: 1rem 0; }
.notice { border-left: 5px solid var(--green); padding: .5rem 1rem; }
.notice.bad { border-left-color: var(--red); } .notice.warn { border-left-color: var(--amber); }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .15rem .9rem;
  margin: .5rem 0; } dt { color: var(--soft); } dd { margin: 0; }
code { font: .85em/1.5 ui-monospace, monospace; user-select: all; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr));
  gap: 1rem; }
.state { display: inline-block; border-radius: 1rem; padding: 0 .7rem; font-weight: 600;
  border: 1px solid currentColor; color: var(--green); }
.state.bad { color: var(--red); } .state.warn { color: var(--amber); }
svg { width: 100%; height: auto; display: block; max-width: 32rem; }
svg text { fill: var(--soft); font-size: 12px; } svg .word { fill: var(--ink); }
.axis { stroke: var(--soft); } .course { fill: none; stroke: var(--blue); stroke-width: 1.8; }
.band { fill: var(--blue); opacity: .18; } .usual { stroke: var(--green); stroke-dasharray: 5 4; }
.level { stroke: var(--amber); stroke-dasharray: 3 4; } .level.alert { stroke: var(--red); }
.bar, .dot { fill: var(--blue); } .bar.usual { fill: var(--green); stroke: none; }
@media (max-width: 34rem) { dl { grid-template-columns: minmax(0, 1fr); }
  dt { margin-top: .4rem; } .card { padding: .75rem; } svg text { font-size: 13px; } }
"""


def page(
    items: Sequence[OverviewItem], current: CurrentState, group: MonitorGroup, now: int
) -> str:
    """The whole page. `now` is when the state was read, in milliseconds."""
    tone = {True: "", False: "bad", None: "warn"}[group.at_work]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>newsieve drift, {moment(now)}</title><style>{STYLE}</style></head><body><main>",
        "<h1>Student and oracle</h1>",
        f'<p class="notice {tone}">{_prose(freshness(current, group, now))}</p>',
        f'<p class="soft">Read at {moment(now)}. Evidence reaches 10,000 once in 10,000 healthy '
        "labels on average, at most.</p>",
    ]
    if items:
        parts.append("<h2>Monitors, worst first</h2>")
    for item in items:
        parts += _card(item, now)
    for name, monitored in current.monitored.items():
        parts += _filter(monitored.monitor, current.last_written_at(name), group)
    return "\n".join([*parts, "</main></body></html>\n"])


def _card(item: OverviewItem, now: int) -> Iterator[str]:
    status = item.status
    what = f"{item.filter.reference}, {item.stratum}" + (" articles" if status else "")
    yield f'<section class="card"><h3>{escape(what)} &nbsp; {_state(item.state)}</h3>'
    yield f'<p class="headline">{escape(item.alert["headline"])}.</p>'
    yield from _advice(item)
    if status is not None:
        yield f'<p class="soft">{escape(_facts(item, status, now))}</p>'
        yield from _pictures(status)
    yield "</section>"


def _advice(item: OverviewItem) -> Iterator[str]:
    """Cause, action and commands."""
    action = item.alert["action"]
    rows = [("Cause", escape(item.cause))] if item.cause else []
    rows.append(("What to do", f"{escape(action['text'])} {_runbook(action['runbook'])}"))
    rows += [("Decide with", f"<code>{escape(command)}</code>") for command in item.commands]
    rows.append(("See it again", f"<code>{escape(action['command'])}</code>"))
    yield f"<dl>{''.join(f'<dt>{name}</dt><dd>{text}</dd>' for name, text in rows)}</dl>"


def _runbook(address: str) -> str:
    """Where to read on: a link if it is one."""
    shown = escape(address)
    if not address.startswith(("https://", "http://")):
        return f"See {shown}."
    return f'See <a href="{shown}">{shown}</a>.'


def _facts(item: OverviewItem, status: MonitorStatus, now: int) -> str:
    state = status.state
    facts = [f"student {status.identity.student_version[:SHORT_HASH]}…"]
    if status.baseline_labels:
        facts.append(f"{status.labels:,} labels tested against {status.baseline_labels:,}")
        facts.append(f"evidence {status.value:,.0f}")
    if status.error is not None:
        error = status.error
        facts.append(
            f"MAE {error.estimate:.2f} (95 % {error.low:.2f}–{error.high:.2f}, last "
            f"{status.recent_labels} labels), {error.baseline:.2f} is usual"
        )
    if (item.advice and item.cause == "") or state.collects or state.awaits_cause:
        facts.append(item.advice)
    if state.is_acknowledged and state.state not in CALM:
        facts.append("acknowledged")
    if state.state not in CALM:
        facts.append(f"since {moment(state.episode)}")
    if state.last_label_at is not None:
        facts.append(f"last label {moment(state.last_label_at)}")
    if state.oracle_key:
        facts.append(f"oracle {state.oracle_key}")
    if item.written_at is not None:
        facts.append(
            f"state written {moment(item.written_at)}, {duration(now - item.written_at)} ago"
        )
    return "; ".join(facts)


def _pictures(status: MonitorStatus) -> Iterator[str]:
    past = status.history
    if past is not None and past.positions:
        usual = status.error.baseline if status.error is not None else None
        held = ", held since the alarm" if status.state.state in INCIDENT else ""
        yield '<div class="charts">'
        yield f"<div><h4>Evidence of drift{held}</h4>{evidence_chart(past)}</div>"
        yield f"<div><h4>Error (MAE), 95 %</h4>{error_chart(past, usual)}</div>"
        yield "</div>"
    blame = _blame(status.group_shares)
    if blame:
        yield f"<h4>Whose the evidence is</h4>{bars(blame)}"


def _blame(shares: dict[str, float]) -> list[tuple[str, float]]:
    """Shares of the evidence that are worth showing, the largest first."""
    worth = [item for item in shares.items() if item[1] >= WORTH_SHOWING]
    return sorted(worth, key=lambda item: -item[1])


def _filter(monitor: FilterMonitor, written_at: int | None, group: MonitorGroup) -> Iterator[str]:
    """What is not one monitor's."""
    yield f"<h2>{escape(monitor.filter.reference)}: what comes in</h2>"
    if not monitor.monitors.by_identity:
        yield f"<p>{_prose(nothing_yet(written_at, group))}</p>"
    if written_at is None:
        return
    signals = [f"{_state(state)} {escape(name)}" for name, state in monitor.shared_states().items()]
    yield f"<p>{' &nbsp; '.join(signals)}</p>"
    difference = monitor.attribution.anchor_difference()
    if difference is not None:
        yield (
            f"<p>On {difference.anchors} labels of anchors {escape(difference.oracle_key)} differs "
            f"from the accepted oracle by {difference.error:.2f} (MAE); {difference.usual:.2f} is "
            "usual.</p>"
        )
    for suspects in monitor.monitors.suspects.statuses():
        error = f", MAE {suspects.error:.2f}" if suspects.error is not None else ""
        student = f"student {suspects.student_version[:SHORT_HASH]}…"
        yield (
            f"<p>{suspects.labels:,} labels of suspect articles{error} ({escape(student)}, oracle "
            f"{escape(suspects.oracle_key)}), which {NOT_TESTED}.</p>"
        )
    for student, shares in monitor.score_distribution.shares().items():
        yield f'<section class="card"><h3>Shares of tiers</h3>{_tiers(student, shares)}</section>'


def _tiers(student: str, shares: Shares) -> str:
    name = f"student {escape(student[:SHORT_HASH])}…"
    if not shares.articles:
        return f'<p class="soft">{name}: no article in the present window yet.</p>'
    now = f"{shares.articles:,} articles of the present window (blue)"
    if shares.usual is None:
        what = f"{now}; its first day, to compare with, is not over yet"
    else:
        what = f"{now}, and the first day (green)"
    usual = shares.usual or {}
    rows = [(tier, usual.get(tier), share) for tier, share in shares.now.items()]
    return f'<p class="soft">{name}: {what}.</p>{pairs(rows)}'


def _prose(text: str) -> str:
    """Commands stand between backticks."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _state(state: str) -> str:
    return f'<span class="state {COLOURS.get(state, "")}">{escape(state)}</span>'
