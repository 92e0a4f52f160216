"""The `newsieve-train` command: one stage a command, on one run folder; `run` is all of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from training.options import (
    ExtendOption,
    FromOption,
    KafkaOption,
    LabelsArgument,
    OutOption,
    ReasonOption,
    RecipeArgument,
    RunArgument,
    RunsOption,
    TensorBoardOption,
    ThreadsOption,
)
from worker.cli import run as run_application
from worker.cli.common import (
    ConfigOption,
    JsonOption,
    note,
    read_settings,
    say,
    show_json,
    show_table,
)
from worker.errors import WrongUsage
from worker.observe import logs

app = typer.Typer(
    help="Makes students from oracle labels; `run` goes through all stages.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Run the command line and exit."""
    run_application(app, "newsieve-train")


@app.callback()
def _set_up(context: typer.Context) -> None:
    logs.configure()
    if context.invoked_subcommand != "fit" and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise WrongUsage("torchrun is for `fit` alone: run the other stages without it")


@app.command()
def run(
    recipe: RecipeArgument,
    labels: LabelsArgument = None,
    runs: RunsOption = Path("runs"),
    from_kafka: KafkaOption = False,
    extend: ExtendOption = None,
    start: FromOption = None,
    threads: ThreadsOption = None,
    tensorboard: TensorBoardOption = False,
    out: OutOption = None,
    allow_failed_gate: ReasonOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Go through all stages. What is done already is not done again.

    Example: newsieve-train run training/recipes/uplifting_minilm.toml labels.jsonl
    """
    from training.chain import run_all
    from training.gather import prepared
    from training.machine import machine_of

    settings = read_settings(config) if from_kafka else None
    found, made = prepared(recipe, labels or [], runs, extend, settings)
    stages = {"prepare": made}
    _note("prepare", made)
    machine = machine_of(threads, os.environ)
    for name, did in run_all(
        found,
        machine,
        start=start,
        tensorboard=tensorboard,
        failed_gate_reason=allow_failed_gate,
    ):
        _note(name, did)
        stages[name] = did
    if out is not None:
        _copy(found.folder, out)
    _say(json, {"run": str(found.folder), "made": stages}, str(found.folder))


@app.command()
def prepare(
    recipe: RecipeArgument,
    labels: LabelsArgument = None,
    runs: RunsOption = Path("runs"),
    from_kafka: KafkaOption = False,
    extend: ExtendOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Clean, deduplicate and split labels; prints the run's folder.

    Example: newsieve-train prepare training/recipes/uplifting_minilm.toml labels.jsonl
    """
    from training.gather import prepared

    settings = read_settings(config) if from_kafka else None
    found, made = prepared(recipe, labels or [], runs, extend, settings)
    manifest = found.json("data", "manifest.json")
    rows = ", ".join(f"{name} {count}" for name, count in manifest["rows"].items())
    note(
        f"{'prepared' if made else 'nothing to do'}: {rows}; bad rows {manifest['bad_rows']}, "
        f"rows of oracles that the recipe does not name {manifest['rows_of_unnamed_oracles']}"
    )
    facts = {"run": str(found.folder), "made": made, "manifest": manifest}
    _say(json, facts, str(found.folder))


@app.command()
def audit(run: RunArgument, json: JsonOption = False) -> None:
    """Say what is true of the labels, with a verdict.

    Example: newsieve-train audit runs/uplifting-20261122-0af0cba1
    """
    from training import audit as stage
    from training.run import Run

    _note("audit", stage.audit(Run(run)))
    facts = Run(run).json("audit.json")
    _say(json, facts, "\n".join([f"{facts['verdict']}:", *(f"- {r}" for r in facts["reasons"])]))


@app.command()
def fit(
    run: RunArgument,
    start: FromOption = None,
    threads: ThreadsOption = None,
    tensorboard: TensorBoardOption = False,
    json: JsonOption = False,
) -> None:
    """Train the adapter and the head. On several devices: torchrun -m training fit RUN.

    Example: newsieve-train fit runs/uplifting-20261122-0af0cba1
    """
    from training import fit as stage
    from training.machine import machine_of
    from training.run import Run

    machine = machine_of(threads, os.environ)
    did = stage.fit(Run(run), machine, start=start, tensorboard=tensorboard)
    if machine.is_leader:
        _note("fit", did)
        facts = {"made": did, "metadata": Run(run).json("training_metadata.json")}
        _say(json, facts, str(run))


@app.command()
def evaluate(run: RunArgument, json: JsonOption = False) -> None:
    """Judge the student on articles it never saw, beside three baselines.

    Example: newsieve-train evaluate runs/uplifting-20261122-0af0cba1
    """
    from training import evaluate as stage
    from training.run import Run
    from training.tables import quality_table
    from training.wording import JUDGED_ON, SCORERS

    _note("evaluate", stage.evaluate(Run(run)))
    metrics = Run(run).json("metrics.json")
    if json:
        show_json(metrics)
        return
    for split, found in metrics["quality"].items():
        table = quality_table({SCORERS[name]: item for name, item in found.items()})
        show_table(JUDGED_ON[split], table.columns, table.rows)


@app.command()
def calibrate(run: RunArgument, json: JsonOption = False) -> None:
    """Fit calibration curves and the residuals behind tier_confidence.

    Example: newsieve-train calibrate runs/uplifting-20261122-0af0cba1
    """
    from training import calibrate as stage
    from training.run import Run
    from training.tables import quality_table
    from training.wording import JUDGED_ON, number

    _note("calibrate", stage.calibrate(Run(run)))
    facts = Run(run).json("calibration.json")
    if json:
        show_json(facts)
        return
    table = quality_table({"as published": facts["quality"]})
    show_table(JUDGED_ON[facts["judged_on"]], table.columns, table.rows)
    kept = [name for name, item in facts["dimensions"].items() if item["kept"]]
    say(f"calibrated: {', '.join(kept) or 'no dimension gains by it'}")
    if facts["confidence"] is not None:
        error = facts["confidence"]["expected_calibration_error"]
        say(f"expected calibration error of tier_confidence: {number(error)}")


@app.command()
def report(
    run: RunArgument,
    compare: Annotated[
        Path | None, typer.Option("--compare", metavar="RUN", help="Beside another run.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", metavar="STUDENT", help="Promotion report: better than that one?"
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Draw and write what the run found, into its folder training_reports/.

    Example: newsieve-train report runs/uplifting-20261122-0af0cba1
    """
    from training import report as stage
    from training.comparison import compare as compare_runs
    from training.files import files_below
    from training.promotion import promotion
    from training.run import Run

    found = Run(run)
    _note("report", stage.report(found))
    facts: dict[str, Any] = {}
    if compare is not None:
        facts["comparison"] = compare_runs(found, Run(compare))
    if against is not None:
        facts["promotion"] = promotion(found, against)
        note(f"the new student is {facts['promotion']}")
    folder = found.path(stage.FOLDER)
    facts["files"] = [str(folder / name) for name in files_below(folder)]
    _say(json, facts, "\n".join(facts["files"]))


@app.command()
def package(
    run: RunArgument,
    out: OutOption = None,
    allow_failed_gate: ReasonOption = None,
    json: JsonOption = False,
) -> None:
    """Write the student folder, if the student passes the recipe's gate.

    Example: newsieve-train package runs/uplifting-20261122-0af0cba1 --out student
    """
    from training import package as stage
    from training.run import Run

    found = Run(run)
    did = stage.package(found, allow_failed_gate)
    _note("package", did)
    folder = found.path(stage.STUDENT_FOLDER)
    if out is not None:
        _copy(found.folder, out)
        folder = out
    _say(json, {"made": did, "student": str(folder)}, str(folder))


def _copy(run: Path, folder: Path) -> None:
    from training.package import copy_student
    from training.run import Run

    previous = copy_student(Run(run), folder)
    if previous is not None:
        note(f"the student that was there is in {previous}: to roll back, put it back")


def _note(stage: str, did: bool) -> None:  # noqa: FBT001 - what a stage returns
    note(f"{stage}: {'done' if did else 'nothing to do'}")


def _say(as_json: bool, facts: Any, text: str) -> None:  # noqa: FBT001 - an option
    if as_json:
        show_json(facts)
    else:
        say(text)
