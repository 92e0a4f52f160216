"""The drift monitor beside its rivals, on real pairs: false alarms, labels until an alarm, causes.

python -m benchmarks.drift_simulation [--runs N] [--variants]

A run has a reference of 500 rows and labels, drawn with replacement. All detectors see the same.
Needs river for the rivals: pip install river.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks import drift_incidents
from benchmarks.contenders.drift_rivals import RIVALS, SLOW_RIVALS, Rival
from tests.support.drift_field import (
    ONE_DIMENSION,
    Change,
    Field,
    flipped,
    grown,
    healthy,
    load_field,
    shifted,
)
from tests.support.drift_runs import Design, Draw, draw, run_bank
from tests.support.results import publish
from newsieve.drift.error_streams import Floats

RUNS = 300
SLOW_RUNS = 10
REFERENCE_ROWS = 500
HEALTHY_LABELS = 10_000
SLOW_LABELS = 1_000
DRIFTED_LABELS = 5_000
SEED = 20_261_125

DRIFTS: dict[str, Change] = {
    "+0.1": grown(0.1),
    "+0.2": grown(0.2),
    "+0.5": grown(0.5),
    "one dimension +0.5": grown(0.5, ONE_DIMENSION),
    "bias flip": flipped,
}
HARDER: dict[str, Change] = {"all scores −0.2": shifted(-0.2), "all scores +0.5": shifted(0.5)}


def run_rival(rival: Rival, drawn: Draw, runs: int, labels: int) -> list[Sequence[int]]:
    """Alarms of each run."""
    return [
        rival(drawn.reference[run], drawn.pool[drawn.picks[run, :labels]]) for run in range(runs)
    ]


def cell(first: Sequence[int]) -> str:
    """The median of labels until the first alarm, or how often there was one."""
    share = sum(at > 0 for at in first) / len(first)
    if share <= 0.5:  # noqa: PLR2004 - then the median run has none
        return f"{share:.0%} found" if share else "never"
    median = np.median([at or np.inf for at in first])
    return f"{median:.0f}" + ("" if share == 1 else f" ({share:.0%} found)")


def tests_table(field: Field, runs: int) -> list[str]:
    """False alarms and labels until an alarm, a row for each detector."""
    names = [*DRIFTS, *HARDER]
    changes = [*DRIFTS.values(), *HARDER.values()]
    rows = REFERENCE_ROWS
    calm = draw(field, healthy, runs, rows, HEALTHY_LABELS, SEED)
    drifts = [
        draw(field, change, runs, rows, DRIFTED_LABELS, SEED + 1 + at)
        for at, change in enumerate(changes)
    ]
    lines = [
        f"| detector | false alarms per 10,000 | {' | '.join(names)} |",
        "|---" * (2 + len(names)) + "|",
    ]
    for name, rival in {**RIVALS, **SLOW_RIVALS}.items():
        is_slow = name in SLOW_RIVALS
        count = min(runs, SLOW_RUNS) if is_slow else runs
        healthy_labels = SLOW_LABELS if is_slow else HEALTHY_LABELS
        drifted = SLOW_LABELS if is_slow else DRIFTED_LABELS
        alarms = sum(len(found) for found in run_rival(rival, calm, count, healthy_labels))
        cells = []
        for drawn in drifts:
            found = run_rival(rival, drawn, count, drifted)
            cells.append(cell([run[0] if run else 0 for run in found]))
        rate = alarms / (count * healthy_labels) * 10_000
        lines.append(f"| {name} | {rate:.2f} | {' | '.join(cells)} |")
    return [*lines, _bank_row("**newsieve's bank**", field, calm, drifts)]


def _bank_row(
    name: str, field: Field, calm: Draw, drifts: Sequence[Draw], design: Design | None = None
) -> str:
    alarms = run_bank(field, calm, until_found=False, design=design).alarms
    rate = alarms.sum() / calm.picks.size * 10_000
    cells = [
        cell(run_bank(field, drawn, until_found=True, design=design).first.tolist())
        for drawn in drifts
    ]
    return f"| {name} | {rate:.2f} | {' | '.join(cells)} |"


def larger_reference(field: Field, runs: int, rows: int) -> str:
    calm = draw(field, healthy, runs, rows, HEALTHY_LABELS, SEED)
    drifts = [
        draw(field, change, runs, rows, DRIFTED_LABELS, SEED + 1 + at)
        for at, change in enumerate((*DRIFTS.values(), *HARDER.values()))
    ]
    return _bank_row(f"newsieve's bank, {rows:,} reference rows", field, calm, drifts)


def blame_table(field: Field, runs: int) -> list[str]:
    """How often the stream with most of the evidence is one that drifted."""
    lines = ["| drift | blamed first, in so many runs |", "|---|---|"]
    for at, dimension in enumerate(field.streams.dimensions):
        change = grown(0.5, dimension)
        drawn = draw(field, change, runs, REFERENCE_ROWS, DRIFTED_LABELS, SEED + 100 + at)
        found = run_bank(field, drawn, until_found=True)
        names = [field.streams.names[stream] for stream in found.blamed]
        right = np.mean([name.partition(":")[2] == dimension for name in names])
        lines.append(f"| {dimension} +0.5 | {right:.0%} of that dimension |")
    return lines


DESIGNS: dict[str, Design] = {
    "as it is: 8 bets, f 0.02–0.75": Design(),
    "10 bets, f 0.05–0.95": Design(np.geomspace(0.05, 0.95, 10)),
    "16 bets, f 0.02–0.75": Design(np.geomspace(0.02, 0.75, 16)),
    "8 bets, f 0.01–0.5": Design(np.geomspace(0.01, 0.5, 8)),
    "a quarter of it follows the recent mean": Design(follows=0.25),
    "half of it follows the recent mean": Design(follows=0.5),
    "square roots of absolute errors": Design(transform=lambda x: _absolute(x, np.sqrt)),
    "absolute errors, 2 at most": Design(
        transform=lambda x: _absolute(x, lambda e: np.minimum(e, 2))
    ),
}


def _absolute(values: Floats, change: Callable[[Floats], Floats]) -> Floats:
    """The mean absolute error and each dimension's, changed; they stand first."""
    count = (values.shape[-1] - 5) // 3
    return np.concatenate([change(values[..., : 1 + count]), values[..., 1 + count :]], axis=-1)


def variants_table(field: Field, runs: int) -> list[str]:
    """Other bets and weights: what they would change."""
    rows = REFERENCE_ROWS
    calm = draw(field, healthy, runs, rows, HEALTHY_LABELS, SEED)
    drifts = [
        draw(field, change, runs, rows, DRIFTED_LABELS, SEED + 1 + at)
        for at, change in enumerate(DRIFTS.values())
    ]
    lines = [
        f"| bank | false alarms per 10,000 | {' | '.join(DRIFTS)} |",
        "|---" * (2 + len(DRIFTS)) + "|",
    ]
    dimensions = len(field.streams.dimensions)
    designs = dict(DESIGNS)
    for mae, absolute in ((0.4, 0.2), (0.2, 0.4)):
        weights = field.streams.weights.copy()
        weights[0], weights[1 : 1 + dimensions] = mae, absolute / dimensions
        designs[f"weights: mae {mae}, dimensions {absolute}"] = Design(weights=weights)
    return [*lines, *(_bank_row(name, field, calm, drifts, d) for name, d in designs.items())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--variants", action="store_true", help="also other bets and weights")
    parser.add_argument("--save")
    options = parser.parse_args()
    field = load_field()
    started = time.perf_counter()
    lines = [
        f"{options.runs} runs, {REFERENCE_ROWS} reference rows, drawn from "
        f"{len(field.differences)} pairs; false alarms in {HEALTHY_LABELS:,} healthy labels, "
        f"median of labels until the first alarm within {DRIFTED_LABELS:,} drifted ones. "
        f"KSWIN: {SLOW_RUNS} runs of {SLOW_LABELS:,}.",
        "",
        *tests_table(field, options.runs),
        larger_reference(field, options.runs, 2_000),
        "",
        *blame_table(field, options.runs),
        "",
        *drift_incidents.table(field, SEED),
        "",
        *drift_incidents.costs(field, SEED),
    ]
    if options.variants:
        lines += ["", *variants_table(field, options.runs)]
    lines += ["", f"All of it took {time.perf_counter() - started:.0f} s."]
    publish("The drift monitor", lines, options.save)


if __name__ == "__main__":
    main()
