"""The stages of a run: which stages each reads, and what else decides its result.

    prepare → audit → fit → evaluate → calibrate → report → package

The module of a stage's name does its work. What a stage does not name here can change without the
stage being run again.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from newsieve.inference.manifest import ADAPTER
from newsieve_training.pipeline.files import file_hash
from newsieve_training.pipeline.run_folder import Run
from newsieve_training.pipeline.stage import FIRST, Stage

# Of a recipe, what decides which data and which student there are.
DECISIVE: Final = ("filter", "base", "labels", "split", "lora", "fit")
# Of run.json, what says which labels these are, and what they mean.
IDENTITY: Final = ("filter", "filter_hash", "label_hash", "labels", "extends")
START: Final = "start"
REASON: Final = "failed_gate_reason"
CANARY_TEXTS: Final = Path(str(files("newsieve_training") / "canaries.jsonl"))


def start_of(run: Run) -> str | None:
    """Return the hash of the adapter that the fit continues from; None: from the base."""
    path = run.path(START, ADAPTER)
    return file_hash(path) if path.is_file() else None


def _filter_now(run: Run) -> str:
    """Return the filter's hash today: thresholds and rules may change after `prepare`."""
    return run.filter.filter_hash


def _prepare(run: Run) -> Any:
    return [run.recipe.settings(*DECISIVE), {name: run.state[name] for name in IDENTITY}]


def _fit(run: Run) -> Any:
    return [run.recipe.settings("filter", "base", "split", "lora", "fit"), start_of(run)]


PREPARE: Final = Stage(FIRST, (), _prepare)
AUDIT: Final = Stage(
    "audit", (PREPARE,), lambda run: [run.recipe.settings("split"), _filter_now(run)]
)
FIT: Final = Stage("fit", (PREPARE,), _fit)
EVALUATE: Final = Stage(
    "evaluate", (PREPARE, FIT), lambda run: [run.recipe.settings("base", "split"), _filter_now(run)]
)
CALIBRATE: Final = Stage(
    "calibrate", (PREPARE, EVALUATE), lambda run: [run.recipe.settings("split"), _filter_now(run)]
)
REPORT: Final = Stage(
    "report",
    (PREPARE, AUDIT, FIT, EVALUATE, CALIBRATE),
    lambda run: run.recipe.settings("purpose", "gate"),
)
PACKAGE: Final = Stage(
    "package",
    (PREPARE, FIT, EVALUATE, CALIBRATE),
    lambda run: [
        run.recipe.settings("purpose", "gate"),
        run.state.get(REASON),
        file_hash(CANARY_TEXTS),
    ],
)
