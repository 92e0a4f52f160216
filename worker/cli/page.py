"""`newsieve drift status --html`: one page that needs nothing else, no script, no network.

For each monitor the course of the evidence and of the error over its last labels, and whose the
evidence is; for each student its shares of tiers. Everything that others wrote is escaped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from worker.cli.charts import bars, error_chart, evidence_chart, pairs
from worker.codec.encode import timestamp
from worker.drift.readings import Reading, read
from worker.drift.states import ALERT, CALM, INCIDENT, RECOVERING, SUSPENDED, WARNING
from worker.drift.watch import Watch

SHORT_HASH: Final = 19  # characters of "sha256:…" that tell students apart
WORTH_SHOWING: Final = 0.005  # of the evidence; smaller shares would read 0 %
# What streams that are not a dimension's are called.
NAMES: Final = {
    "mae": "mean error",
    "bias+": "mean bias, up",
    "bias-": "mean bias, down",
    "wabs": "weighted average",
    "tier": "tier",
    "fail": "refused or invalid",
}
COLOURS: Final[dict[str, str]] = {
    ALERT: "bad",
    RECOVERING: "warn",
    WARNING: "warn",
    SUSPENDED: "warn",
}
STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5b6570; --line: #d5dae0; --back: #fff;
  --card: #f6f7f9; --blue: #2563c9; --red: #c0362c; --amber: #a8650a; --green: #2c7a3f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #9aa4ae; --line: #39424c;
  --back: #14181c; --card: #1c2228; --blue: #6ea8fe; --red: #ff7b72; --amber: #e3a34f;
  --green: #6cc183; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back);
  max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { margin: 2.5rem 0 .5rem; font-size: 1.25rem; }
h3 { margin: 0 0 .25rem; font-size: 1.05rem; } h4 { margin: 1rem 0 .25rem; font-size: .9rem; }
p { margin: .25rem 0; } .soft { color: var(--soft); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 1rem 1.25rem; margin: 1rem 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1rem; }
.state { display: inline-block; border-radius: 1rem; padding: 0 .7rem; font-weight: 600;
  border: 1px solid currentColor; color: var(--green); }
.state.bad { color: var(--red); } .state.warn { color: var(--amber); }
svg { width: 100%; height: auto; display: block; } svg.bars { max-width: 34rem; }
svg text { fill: var(--soft); font-size: 11px; }
.axis { stroke: var(--line); } .course { fill: none; stroke: var(--blue); stroke-width: 1.8; }
.band { fill: var(--blue); opacity: .18; } .usual { stroke: var(--green); stroke-dasharray: 5 4; }
.level { stroke: var(--amber); stroke-dasharray: 3 4; } .level.alert { stroke: var(--red); }
.bar { fill: var(--blue); } .bar.usual { fill: var(--green); stroke: none; }
"""


def page(watches: Sequence[Watch], now: str) -> str:
    """The whole page. `now` is when it was made, ISO 8601."""
    parts = [part for watch in watches for part in _filter(watch)]
    if not parts:
        parts = ["<p>There is no state on record yet.</p>"]
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>newsieve drift, {escape(now)}</title><style>{STYLE}</style></head><body>",
            "<h1>Student and oracle</h1>",
            f'<p class="soft">From the state on record, read at {escape(now)}. Evidence reaches '
            "10,000 once in 10,000 healthy labels on average, at most.</p>",
            *parts,
            "</body></html>",
        ]
    )


def _filter(watch: Watch) -> Iterator[str]:
    monitors = [monitor for _, monitor in sorted(watch.all_monitors.items())]
    shares = watch.articles.shares()
    if not monitors and not shares:
        return
    yield f"<h2>{escape(watch.filter.reference)}</h2>"
    signals = [f"{_state(state)} {name}" for name, state in watch.signals().items()]
    yield f"<p>{' &nbsp; '.join(signals)}</p>"
    found = watch.difference()
    if found is not None:
        yield (
            f"<p>On {found.anchors} labels of anchors {escape(found.oracle_key)} differs from the "
            f"accepted oracle by {found.error:.2f} (MAE); {found.usual:.2f} is usual.</p>"
        )
    for monitor in monitors:
        yield from _monitor(read(monitor))
    for student, item in shares.items():
        rows = [(name, item.usual[name], item.now[name]) for name in item.usual]
        yield (
            f'<section class="card"><h3>Shares of tiers</h3><p class="soft">student '
            f"{escape(student[:SHORT_HASH])}…: the first day (green), and the {item.articles:,} "
            f"articles of the present window</p>{pairs(rows)}</section>"
        )


def _monitor(reading: Reading) -> Iterator[str]:
    here, identity = reading.standing, reading.identity
    yield '<section class="card">'
    yield f"<h3>{escape(identity.stratum)} articles &nbsp; {_state(here.state)}</h3>"
    yield f'<p class="soft">{_facts(reading)}</p>'
    if here.state == SUSPENDED and here.other_oracle_key is not None:
        yield (
            f"<p>Labels come from {escape(here.other_oracle_key)} instead of "
            f"{escape(here.oracle_key or '')}: nothing is tested until somebody decides.</p>"
        )
    if reading.error is not None:
        error = reading.error
        yield (
            f"<p>MAE <strong>{error.estimate:.2f}</strong> (95 % {error.low:.2f}–{error.high:.2f}, "
            f"last {reading.recent_labels} labels); {error.baseline:.2f} is usual.</p>"
        )
    if reading.past is not None and reading.past.positions:
        usual = reading.error.baseline if reading.error is not None else None
        yield '<div class="charts">'
        held = ", held since the alarm" if here.state in INCIDENT else ""
        yield f"<div><h4>Evidence of drift{held}</h4>{evidence_chart(reading.past)}</div>"
        yield f"<div><h4>Error (MAE), 95 %</h4>{error_chart(reading.past, usual)}</div>"
        yield "</div>"
    blame = _blame(reading.shares)
    if blame:
        yield f"<h4>Whose the evidence is</h4>{bars(blame)}"
    yield "</section>"


def _facts(reading: Reading) -> str:
    here = reading.standing
    facts = [
        f"student {reading.identity.student_version[:SHORT_HASH]}…",
        f"{reading.labels:,} labels tested against {reading.baseline_labels:,}",
        f"evidence {reading.value:,.0f}",
    ]
    if here.collects:
        facts.append(f"{reading.collected} labels of a new baseline")
    if here.state not in CALM:
        facts.append(f"since {timestamp(here.episode)}")
    if here.last_label_at is not None:
        facts.append(f"last label {timestamp(here.last_label_at)}")
    if here.oracle_key:
        facts.append(f"oracle {here.oracle_key}")
    return escape("; ".join(facts))


def _blame(shares: dict[str, float]) -> list[tuple[str, float]]:
    """Shares of the evidence by dimension, errors and biases together; the largest first."""
    found: dict[str, float] = defaultdict(float)
    for stream, share in shares.items():
        kind, _, dimension = stream.partition(":")
        found[dimension or NAMES[kind]] += share
    worth = [item for item in found.items() if item[1] >= WORTH_SHOWING]
    return sorted(worth, key=lambda item: -item[1])


def _state(state: str) -> str:
    return f'<span class="state {COLOURS.get(state, "")}">{escape(state)}</span>'
