"""The `newsieve-train` command: one stage a command, on one run folder; `run` is all of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from newsieve.cli.application import VersionOption
from newsieve.cli.application import run as run_application
from newsieve.cli.common import ConfigOption, JsonOption, read_settings
from newsieve.errors import WrongUsage
from newsieve.stream import logs
from newsieve.terminal import echo, echo_err, show_json, show_table
from newsieve_training.cli.options import (
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
    YesOption,
    confirm_unusable,
    note_previous,
    note_rows,
    note_stage,
    open_run,
    say_result,
    verdict_text,
)

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
def _set_up(context: typer.Context, _version: VersionOption = False) -> None:
    logs.configure()
    if context.invoked_subcommand != "fit" and os.environ.get("WORLD_SIZE", "1") != "1":
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
    yes: YesOption = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Go through all stages. What is done already is not done again.

    Where the audit finds that the labels are not usable, it asks before it trains on them.

    Example: newsieve-train run recipe.toml labels.jsonl
    """
    from newsieve_training.data.audit import is_usable
    from newsieve_training.data.sources import prepared
    from newsieve_training.fit.environment import machine_of
    from newsieve_training.packaging.package import copy_student, require_place
    from newsieve_training.run_all import run_all

    settings = read_settings(config)
    if out is not None:
        require_place(out)  # before anything is trained
    found, made = prepared(recipe, labels or [], runs, extend, settings, from_kafka=from_kafka)
    stages = {"prepare": made}
    note_stage("prepare", made)
    note_rows(found.json("data", "manifest.json"))
    machine = machine_of(threads, os.environ)
    for name, did in run_all(
        found,
        machine,
        start=start,
        tensorboard=tensorboard,
        failed_gate_reason=allow_failed_gate,
    ):
        note_stage(name, did)
        stages[name] = did
        if name == "audit" and not is_usable(found):
            confirm_unusable(found, is_told=yes)
    if out is not None:
        note_previous(copy_student(found, out))
    say_result(json, {"run": str(found.folder), "made": stages}, str(found.folder))


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

    Example: newsieve-train prepare recipe.toml labels.jsonl
    """
    from newsieve_training.data.sources import prepared

    settings = read_settings(config)
    found, made = prepared(recipe, labels or [], runs, extend, settings, from_kafka=from_kafka)
    note_stage("prepare", made)
    manifest = found.json("data", "manifest.json")
    note_rows(manifest)
    facts = {"run": str(found.folder), "made": made, "manifest": manifest}
    say_result(json, facts, str(found.folder))


@app.command()
def audit(run: RunArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Say what is true of the labels, with a verdict.

    Example: newsieve-train audit runs/uplifting-20261122-0af0cba1
    """
    from newsieve_training.data import audit as stage

    found = open_run(run, config)
    note_stage("audit", stage.audit(found))
    facts = found.json("audit.json")
    say_result(json, facts, verdict_text(facts))


@app.command()
def fit(
    run: RunArgument,
    start: FromOption = None,
    threads: ThreadsOption = None,
    tensorboard: TensorBoardOption = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Train the adapter and the head. On several devices: torchrun -m newsieve_training fit RUN.

    Example: newsieve-train fit runs/uplifting-20261122-0af0cba1
    """
    from newsieve_training.fit import stage
    from newsieve_training.fit.environment import machine_of

    machine, found = machine_of(threads, os.environ), open_run(run, config)
    did = stage.fit(found, machine, start=start, tensorboard=tensorboard)
    if machine.is_leader:
        note_stage("fit", did)
        facts = {"made": did, "metadata": found.json("training_metadata.json")}
        say_result(json, facts, str(run))


@app.command()
def evaluate(run: RunArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Judge the student on articles it never saw, beside three baselines.

    Example: newsieve-train evaluate runs/uplifting-20261122-0af0cba1
    """
    from newsieve_training.evaluation import evaluate as stage
    from newsieve_training.reports.formatting import JUDGED_ON, SCORERS
    from newsieve_training.reports.tables import quality_table

    found = open_run(run, config)
    note_stage("evaluate", stage.evaluate(found))
    metrics = found.json("metrics.json")
    if json:
        show_json(metrics)
        return
    for split, quality in metrics["quality"].items():
        table = quality_table({SCORERS[name]: item for name, item in quality.items()})
        show_table(JUDGED_ON[split], table.columns, table.rows)


@app.command()
def calibrate(run: RunArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Fit calibration curves and the residuals behind tier_confidence.

    Example: newsieve-train calibrate runs/uplifting-20261122-0af0cba1
    """
    from newsieve_training.evaluation import calibrate as stage
    from newsieve_training.reports.formatting import JUDGED_ON, number
    from newsieve_training.reports.tables import quality_table

    found = open_run(run, config)
    note_stage("calibrate", stage.calibrate(found))
    facts = found.json("calibration.json")
    if json:
        show_json(facts)
        return
    table = quality_table({"as published": facts["quality"]})
    show_table(JUDGED_ON[facts["judged_on"]], table.columns, table.rows)
    kept = [name for name, item in facts["dimensions"].items() if item["kept"]]
    echo(f"calibrated: {', '.join(kept) or 'no dimension gains by it'}")
    if facts["confidence"] is not None:
        error = facts["confidence"]["expected_calibration_error"]
        echo(f"expected calibration error of tier_confidence: {number(error)}")


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
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Draw and write what the run found, into its folder training_reports/.

    Example: newsieve-train report runs/uplifting-20261122-0af0cba1
    """
    from newsieve_training.pipeline.files import files_below
    from newsieve_training.pipeline.run_folder import REPORTS_FOLDER, Run
    from newsieve_training.reports import report as stage
    from newsieve_training.reports.comparison import compare as compare_runs
    from newsieve_training.reports.promotion import promotion

    found = open_run(run, config)
    note_stage("report", stage.report(found))
    facts: dict[str, Any] = {}
    if compare is not None:
        facts["comparison"] = compare_runs(found, Run(compare, found.filters))
    if against is not None:
        facts["promotion"] = promotion(found, against)
        echo_err(f"the new student is {facts['promotion']}")
    folder = found.path(REPORTS_FOLDER)
    facts["files"] = [str(folder / name) for name in files_below(folder)]
    say_result(json, facts, "\n".join(facts["files"]))


@app.command()
def package(
    run: RunArgument,
    out: OutOption = None,
    allow_failed_gate: ReasonOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Write the student folder, if the student passes the recipe's gate.

    Example: newsieve-train package runs/uplifting-20261122-0af0cba1 --out student
    """
    from newsieve_training.packaging import package as stage

    found = open_run(run, config)
    did = stage.package(found, allow_failed_gate)
    note_stage("package", did)
    folder = found.path(stage.STUDENT_FOLDER)
    if out is not None:
        note_previous(stage.copy_student(found, out))
        folder = out
    say_result(json, {"made": did, "student": str(folder)}, str(folder))
