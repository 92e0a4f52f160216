"""Labels from real pairs, and the drift monitor's formulas written out once more, slowly."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from newsieve.drift.error_streams import ErrorStreams
from newsieve.drift.label_reader import Label, LabelReader
from newsieve.drift.monitor_state import Identity, MonitorConfig, Transition
from newsieve.drift.stratum_monitor import StratumMonitor
from newsieve_schemas.drift import State
from tests.support.cli import Result, newsieve
from tests.support.filters import load

ROOT = Path(__file__).resolve().parents[2]
_FILE = ROOT / "tests" / "support" / "data" / "pairs_uplifting_v4.jsonl"
PAIRS = [json.loads(line) for line in _FILE.read_text(encoding="utf-8").splitlines()]
UPLIFTING = load("uplifting")
STREAMS = ErrorStreams(UPLIFTING)
DIMENSIONS = UPLIFTING.definition.dimension_names
WEIGHTS = {item.name: item.weight for item in UPLIFTING.definition.dimensions}
SURFACED_TIERS = set(UPLIFTING.definition.published_tiers)

IDENTITY = Identity("uplifting", "s", "x")
DAY = 24 * 60 * 60 * 1_000  # milliseconds

Row = dict[str, Any]
Change = Callable[[Row], Row]


def as_it_is(pair: Row) -> Row:
    return pair


def errors_times(factor: float, *dimensions: str) -> Change:
    """The student's errors grow or shrink, in all dimensions or in some."""

    def change(pair: Row) -> Row:
        student = dict(pair["student"])
        for name in dimensions or DIMENSIONS:
            truth = pair["oracle"][name]
            student[name] = truth + factor * (clamp(student[name]) - truth)
        return {**pair, "student": student}

    return change


def moved(by: float) -> Change:
    """All of the student's scores move."""
    return lambda pair: {**pair, "student": {k: v + by for k, v in pair["student"].items()}}


def draws(seed: int, count: int, change: Change = as_it_is, **facts: Any) -> list[Row]:
    """Rows drawn from the pairs with replacement."""
    rng = random.Random(seed)
    return [{**change(rng.choice(PAIRS)), **facts} for _ in range(count)]


def history(
    seed: int, *parts: tuple[int, Change], reference: int = 500, stratum: str = "x", **facts: Any
) -> list[Row]:
    """A reference, then parts of so many labels, changed so."""
    rows = draws(seed, reference, purpose="reference", stratum=stratum, **facts)
    for at, (count, change) in enumerate(parts):
        rows += draws(seed * 1_000 + at, count, change, stratum=stratum, **facts)
    return rows


def lines(rows: Iterable[Row]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def labels(rows: Sequence[Row]) -> list[Label]:
    """As the monitor gets them; their positions are their places."""
    reader = LabelReader("uplifting", STREAMS)
    found = reader.read((at, json.dumps(row).encode()) for at, row in enumerate(rows))
    assert all(isinstance(item, Label) for item in found)
    return [item for item in found if isinstance(item, Label)]


def clamp(score: float) -> float:
    return min(max(score, 0.0), 10.0)


def tier_of(scores: Mapping[str, float]) -> str:
    """uplifting's tier, from its definition in words."""
    exact = {name: round(clamp(scores[name]), 4) for name in DIMENSIONS}
    whole = {name: math.floor(value + 0.5) for name, value in exact.items()}
    average = sum(WEIGHTS[name] * exact[name] for name in DIMENSIONS)
    if whole["collective_benefit"] < 5 and not (
        whole["wonder"] >= 7 and whole["collective_benefit"] >= 3
    ):
        average = min(average, 3.0)
    return (
        "impact"
        if average >= 7 - 1e-9
        else "connection"
        if average >= 4 - 1e-9
        else "not_uplifting"
    )


def plain_streams(row: Row) -> dict[str, float]:
    """Name and value of each stream, for uplifting."""
    errors = {k: clamp(row["student"][k]) - row["oracle"][k] for k in DIMENSIONS}
    mean = sum(errors.values()) / len(errors)
    found = {"mae": sum(abs(e) for e in errors.values()) / len(errors)}
    found |= {f"abs:{k}": abs(e) for k, e in errors.items()}
    found |= {"bias+": min(max(mean, -4), 4), "bias-": -min(max(mean, -4), 4)}
    found |= {f"b+:{k}": min(max(e, -4), 4) for k, e in errors.items()}
    found |= {f"b-:{k}": -min(max(e, -4), 4) for k, e in errors.items()}
    found["wabs"] = abs(sum(WEIGHTS[k] * e for k, e in errors.items()))
    found["tier"] = float(tier_of(row["student"]) != tier_of(row["oracle"]))
    return found


def plain_weights() -> dict[str, float]:
    found = {"mae": 0.30, "bias+": 0.075, "bias-": 0.075, "wabs": 0.075, "tier": 0.075}
    for name in DIMENSIONS:
        found |= {f"abs:{name}": 0.30 / 8, f"b+:{name}": 0.10 / 16, f"b-:{name}": 0.10 / 16}
    return found


def plain_limits(reference: Sequence[Row]) -> dict[str, float]:
    """m0: the Hájek mean and 1.645 linearised standard errors."""
    weights = [1 / row.get("pi", 1) for row in reference]
    values = [plain_streams(row) for row in reference]
    found = {}
    for name in values[0]:
        column = [value[name] for value in values]
        mean = sum(w * x for w, x in zip(weights, column, strict=True)) / sum(weights)
        squares = sum((w * (x - mean)) ** 2 for w, x in zip(weights, column, strict=True))
        found[name] = mean + 1.645 * math.sqrt(squares) / sum(weights)
    return found


def plain_evidence(reference: Sequence[Row], monitored: Iterable[Row]) -> Iterator[float]:
    """G after each label of a monitor that never alarms, as the recursion says it."""
    limits, weights = plain_limits(reference), plain_weights()
    pi_min = min(row.get("pi", 1) for row in reference)
    lowest = {name: -4.0 if name.startswith("b") else 0.0 for name in limits}
    fractions = [0.02 * (0.75 / 0.02) ** (k / 7) for k in range(8)]
    capital = {name: [0.0] * 8 for name in limits}
    for row in monitored:
        u = min(1.0, pi_min / row.get("pi", 1))
        for name, x in plain_streams(row).items():
            room = limits[name] - lowest[name]
            capital[name] = [
                (m + 1) * (1 + f / room * u * (x - limits[name]))
                for m, f in zip(capital[name], fractions, strict=True)
            ]
        yield sum(weights[name] * sum(bets) / 8 for name, bets in capital.items())


def monitor_of(reference: Sequence[Label], config: MonitorConfig | None = None) -> StratumMonitor:
    monitor = StratumMonitor(IDENTITY, STREAMS, config or MonitorConfig())
    for row in reference:
        assert monitor.reference(row)
    return monitor


def monitor_after(
    seed: int, *parts: tuple[int, Change], config: MonitorConfig | None = None, **facts: str
) -> tuple[StratumMonitor, list[Transition]]:
    """A monitor after a reference of 300 and these labels, and its steps."""
    rows = labels(history(seed, *parts, reference=300, **facts))
    monitor = monitor_of(rows[:300], config)
    return monitor, feed(monitor, rows[300:])


def feed(monitor: StratumMonitor, rows: Iterable[Label]) -> list[Transition]:
    steps = [monitor.label(row) for row in rows]
    return [step for step in steps if step is not None]


def more(seed: int, count: int, change: Change = as_it_is, **facts: str) -> list[Label]:
    return [
        row._replace(position=100_000 * seed + row.position)
        for row in labels(draws(seed, count, change, **facts))
    ]


def refused(at: int, key: str = "") -> Label:
    return Label(at, None, "s", "x", "monitor", 1.0, key, "", None, None)


def states(steps: Iterable[Transition]) -> list[State]:
    return [step.state for step in steps]


def replay(rows: Sequence[Row] | bytes, *arguments: str) -> Result:
    """`newsieve drift replay` over these rows."""
    stdin = rows if isinstance(rows, bytes) else lines(rows)
    done = newsieve("drift", "replay", *arguments, stdin=stdin)
    assert "Traceback" not in done.err
    return done


def replayed(done: Result) -> list[str]:
    """The states that were reached."""
    return [row["state"] for row in done.rows() if "state" in row]


def first(done: Result, state: str) -> dict[str, Any]:
    return next(row for row in done.rows() if row.get("state") == state)
