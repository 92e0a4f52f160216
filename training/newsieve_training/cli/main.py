"""The `newsieve-train` command: each stage is a command on a run folder, `run` is all of them."""

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
    open_run,
    print_previous,
    print_result,
    print_rows,
    print_stage,
    verdict_text,
)
from newsieve_training.cli.repackage import repackage
from newsieve_training.pipeline.result_files import as_json

app = typer.Typer(
    help="Make students from oracle labels. The command `run` runs all stages.",
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
    """Run all stages on labels. Stages that are up to date are not run again.

    Where the audit finds that the labels are not usable, you are asked before they are trained on.

    Example: newsieve-train run recipe.toml labels.jsonl
    """
    from newsieve_training.data.audit_report import AuditReport
    from newsieve_training.data.manifest import DataManifest
    from newsieve_training.data.sources import prepared
    from newsieve_training.fit.environment import machine_of
    from newsieve_training.packaging.package import copy_student, require_place
    from newsieve_training.run_all import run_all

    settings = read_settings(config)
    if out is not None:
        require_place(out)  # before anything is trained
    opened, made = prepared(recipe, labels or [], runs, extend, settings, from_kafka=from_kafka)
    stages = {"prepare": made}
    print_stage("prepare", made)
    print_rows(DataManifest.read(opened.folder))
    machine = machine_of(threads, os.environ)
    for name, did in run_all(
        opened,
        machine,
        start=start,
        tensorboard=tensorboard,
        failed_gate_reason=allow_failed_gate,
    ):
        print_stage(name, did)
        stages[name] = did
        if name == "audit" and not (report := AuditReport.read(opened.folder)).is_usable:
            confirm_unusable(opened, report, confirmed=yes)
    if out is not None:
        print_previous(copy_student(opened, out))
    print_result(json, {"run": str(opened.folder), "made": stages}, str(opened.folder))


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
    """Clean, deduplicate and split labels. Prints the folder of the run.

    Example: newsieve-train prepare recipe.toml labels.jsonl
    """
    from newsieve_training.data.manifest import DataManifest
    from newsieve_training.data.sources import prepared

    settings = read_settings(config)
    opened, made = prepared(recipe, labels or [], runs, extend, settings, from_kafka=from_kafka)
    print_stage("prepare", made)
    manifest = DataManifest.read(opened.folder)
    print_rows(manifest)
    result = {"run": str(opened.folder), "made": made, "manifest": as_json(manifest)}
    print_result(json, result, str(opened.folder))


@app.command()
def audit(run: RunArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Measure the labels, and say whether they are usable.

    Example: newsieve-train audit runs/uplifting-20261122-0af0cba1
    """
    from newsieve_training.data import audit as stage
    from newsieve_training.data.audit_report import AuditReport

    opened = open_run(run, config)
    print_stage("audit", stage.audit(opened))
    report = AuditReport.read(run)
    print_result(json, as_json(report), verdict_text(report))


@app.command()
def fit(
    run: RunArgument,
    start: FromOption = None,
    threads: ThreadsOption = None,
    tensorboard: TensorBoardOption = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Train the adapter and the head.

    To train on several devices, run: torchrun --nproc-per-node N -m newsieve_training fit RUN

    Example: newsieve-train fit runs/uplifting-20261122-0af0cba1
    """
    from newsieve_training.fit import stage
    from newsieve_training.fit.environment import machine_of
    from newsieve_training.fit.metadata import TrainingMetadata

    machine, opened = machine_of(threads, os.environ), open_run(run, config)
    did = stage.fit(opened, machine, start=start, tensorboard=tensorboard)
    if machine.is_leader:
        print_stage("fit", did)
        result = {"made": did, "metadata": as_json(TrainingMetadata.read(run))}
        print_result(json, result, str(run))


@app.command()
def evaluate(run: RunArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Measure the student on articles that it never saw. Three baselines are measured, too.

    Example: newsieve-train evaluate runs/uplifting-20261122-0af0cba1
    """
    from newsieve_training.evaluation import evaluate as stage
    from newsieve_training.evaluation.results import Metrics
    from newsieve_training.reports.formatting import JUDGED_ON, SCORERS
    from newsieve_training.reports.tables import quality_table

    print_stage("evaluate", stage.evaluate(open_run(run, config)))
    metrics = Metrics.read(run)
    if json:
        show_json(as_json(metrics))
        return
    for split, quality in metrics.quality.items():
        table = quality_table({SCORERS[name]: item for name, item in quality.items()})
        show_table(JUDGED_ON[split], table.columns, table.rows)


@app.command()
def calibrate(run: RunArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Fit calibration curves and tier confidences.

    Example: newsieve-train calibrate runs/uplifting-20261122-0af0cba1
    """
    from newsieve_training.evaluation import calibrate as stage
    from newsieve_training.evaluation.results import CalibrationReport
    from newsieve_training.reports.formatting import JUDGED_ON, number
    from newsieve_training.reports.tables import quality_table

    print_stage("calibrate", stage.calibrate(open_run(run, config)))
    result = CalibrationReport.read(run)
    if json:
        show_json(as_json(result))
        return
    table = quality_table({"as published": result.quality})
    show_table(JUDGED_ON[result.judged_on], table.columns, table.rows)
    kept = [name for name, item in result.dimensions.items() if item.kept]
    echo(f"calibrated: {', '.join(kept) or 'no dimension gains by it'}")
    if result.confidence is not None:
        error = result.confidence.expected_calibration_error
        echo(f"expected calibration error of tier_confidence: {number(error)}")


@app.command()
def report(
    run: RunArgument,
    compare: Annotated[
        Path | None, typer.Option("--compare", metavar="RUN", help="Also compare with another run.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            metavar="STUDENT",
            help="Also say whether to promote the student over that one.",
        ),
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Write the reports of a run. They are in its folder training_reports/.

    Example: newsieve-train report runs/uplifting-20261122-0af0cba1
    """
    from newsieve_training.pipeline.files import files_below
    from newsieve_training.pipeline.run_folder import REPORTS_FOLDER, Run
    from newsieve_training.reports import report as stage
    from newsieve_training.reports.comparison import compare as compare_runs
    from newsieve_training.reports.promotion import promotion

    opened = open_run(run, config)
    print_stage("report", stage.report(opened))
    result: dict[str, Any] = {}
    if compare is not None:
        result["comparison"] = compare_runs(opened, Run(compare, opened.filters))
    if against is not None:
        result["promotion"] = promotion(opened, against)
        echo_err(f"the new student is {result['promotion']}")
    folder = opened.path(REPORTS_FOLDER)
    files = [str(folder / name) for name in files_below(folder)]
    print_result(json, {**result, "files": files}, "\n".join(files))


@app.command()
def package(
    run: RunArgument,
    out: OutOption = None,
    allow_failed_gate: ReasonOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Write the student folder that a worker loads.

    The student has to pass the gate of its recipe, or --allow-failed-gate says why it need not.

    Example: newsieve-train package runs/uplifting-20261122-0af0cba1 --out student
    """
    from newsieve_training.packaging import package as stage

    opened = open_run(run, config)
    did = stage.package(opened, allow_failed_gate)
    print_stage("package", did)
    folder = opened.path(stage.STUDENT_FOLDER)
    if out is not None:
        print_previous(stage.copy_student(opened, out))
        folder = out
    print_result(json, {"made": did, "student": str(folder)}, str(folder))


app.command()(repackage)
