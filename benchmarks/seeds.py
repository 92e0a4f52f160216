"""One recipe with several seeds: how much of a student's quality is chance?

    python -m benchmarks.seeds RECIPE LABELS [--seeds 42 43 44] [--runs FOLDER]

A seed decides the split, the order of the articles and the dropout, so that each student is judged
on articles of its own. Runs that are in the folder already are not made again, and those that were
interrupted go on.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.support.results import publish
from newsieve_training.evaluation.calibrate import calibrate
from newsieve_training.evaluation.evaluate import evaluate
from newsieve_training.evaluation.results import CalibrationReport
from newsieve_training.fit.stage import fit
from newsieve_training.data.label_aggregation import read_source
from newsieve_training.fit.environment import Machine
from newsieve_training.data.manifest import DataManifest
from newsieve_training.data.prepare import prepare
from newsieve_training.pipeline.recipe import read_recipe
from newsieve_training.pipeline.run_folder import Run
from newsieve_training.reports.formatting import JUDGED_ON, number
from tests.support.filters import BUILTIN


def _quality(name: str) -> Callable[[CalibrationReport], float]:
    return lambda report: float(getattr(report.quality, name))


MEASURES: Final[Mapping[str, Callable[[CalibrationReport], float]]] = {
    "MAE": _quality("mae"),
    "Spearman": _quality("spearman"),
    "tier agreement": _quality("tier_agreement"),
    "κ": _quality("tier_kappa"),
    "surfaced agreement": _quality("surfaced_agreement"),
    "calibration error of tier_confidence": lambda report: (
        report.confidence.expected_calibration_error if report.confidence else math.nan
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--save")
    options = parser.parse_args()
    if len(options.seeds) == 1:
        parser.error("one seed has no spread: give several")
    recipe, sources = read_recipe(options.recipe), [read_source(options.labels)]
    runs = []
    for seed in options.seeds:
        changed = {name: getattr(recipe, name) for name in ("split", "fit")}
        seeded = recipe.model_copy(
            update={n: part.model_copy(update={"seed": seed}) for n, part in changed.items()}
        )
        run, _ = prepare(seeded, sources, options.runs, BUILTIN)
        fit(run, Machine(options.threads))
        evaluate(run)
        calibrate(run)
        sys.stderr.write(f"seed {seed}: {run.folder}\n")
        runs.append(run)
    title = f"{recipe.filter} with {len(runs)} seeds"
    publish(title, list(_table(runs, options.seeds)), options.save)


def _table(runs: Sequence[Run], seeds: Sequence[int]) -> list[str]:
    reports = [CalibrationReport.read(run.folder) for run in runs]
    rows = DataManifest.read(runs[0].folder).rows
    judged = JUDGED_ON[reports[0].judged_on]
    lines = [
        f"{rows['train']:,} training articles, judged on {judged}, as published (calibrated).",
        "",
        f"| | {' | '.join(f'seed {seed}' for seed in seeds)} | mean | standard deviation |",
        "|---|" + "---|" * (len(seeds) + 2),
    ]
    for name, of in MEASURES.items():
        values = [of(report) for report in reports]
        each = " | ".join(number(value) for value in values)
        lines.append(
            f"| {name} | {each} | {number(statistics.mean(values))} | "
            f"{statistics.stdev(values):.3f} |"
        )
    return lines


if __name__ == "__main__":
    main()
