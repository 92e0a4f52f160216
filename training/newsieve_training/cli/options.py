"""What commands of `newsieve-train` share: arguments, options, and what they print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from newsieve.cli.common import read_settings
from newsieve.printable import printable
from newsieve.terminal import echo, echo_err, show_json
from newsieve_training.data.audit_report import AuditReport
from newsieve_training.data.manifest import DataManifest
from newsieve_training.errors import LabelsRefused
from newsieve_training.pipeline.run_folder import Run

BAD_ROWS_SHOWN: Final = 10  # all that are kept stand in the manifest

RecipeArgument = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe's TOML file.")]
LabelsArgument = Annotated[
    list[Path] | None, typer.Argument(metavar="[LABELS…]", help="Files of labels in JSON Lines.")
]
RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="The run folder, as `prepare` prints it.")
]
RunsOption = Annotated[
    Path, typer.Option("--runs", help="The folder in which run folders are made.")
]
KafkaOption = Annotated[
    bool, typer.Option("--from-kafka", help="Also read labels from the oracle's topics.")
]
ExtendOption = Annotated[
    Path | None,
    typer.Option(
        "--extend",
        metavar="RUN",
        help="Keep the articles of that run in their splits, and add those it does not have.",
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="The number of CPU threads; the default is all cores."),
]
FromOption = Annotated[
    Path | None,
    typer.Option("--from", metavar="STUDENT", help="Continue from this student's adapter."),
]
TensorBoardOption = Annotated[
    bool, typer.Option("--tensorboard", help="Write curves into the run's folder tensorboard/.")
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="Also copy the student to that folder."),
]
ReasonOption = Annotated[
    str | None,
    typer.Option(
        "--allow-failed-gate",
        metavar="REASON",
        help="Write a student that fails its gate; the model card says why.",
    ),
]
YesOption = Annotated[
    bool, typer.Option("--yes", help="Train on labels that are not usable, without asking.")
]


def open_run(folder: Path, config: Path | None) -> Run:
    """Open the run in this folder, with the filters of the settings. Raises SettingsInvalid."""
    return Run(folder, read_settings(config).filters.registry)


def print_previous(folder: Path | None) -> None:
    if folder is not None:
        echo_err(f"the student that was there is in {folder}: to roll back, put it back")


def print_rows(manifest: DataManifest) -> None:
    """Print what `prepare` made of the rows of labels."""
    rows = ", ".join(f"{name} {count}" for name, count in manifest.rows.items())
    echo_err(
        f"articles: {rows}; rows without a label {manifest.rows_without_label}, of oracles "
        f"that the recipe does not name {manifest.rows_of_unnamed_oracles}, bad "
        f"{manifest.bad_rows}"
    )
    suspect = manifest.suspect_articles_left_out
    if suspect:
        echo_err(f"{suspect} articles that speak to a model are left out: labels.include_suspect")
    for remark in manifest.remarks:
        echo_err(printable(remark))
    for bad in manifest.bad_rows_listed[:BAD_ROWS_SHOWN]:
        echo_err(printable(f"  {bad}"))


def print_stage(stage: str, did: bool) -> None:  # noqa: FBT001 - what a stage returns
    echo_err(f"{stage}: {'done' if did else 'nothing to do'}")


def verdict_text(audit: AuditReport) -> str:
    """Return the verdict on the labels and its reasons, one a line."""
    return "\n".join([f"{audit.verdict}:", *(f"- {printable(item)}" for item in audit.reasons)])


def confirm_unusable(run: Run, audit: AuditReport, *, confirmed: bool) -> None:
    """Print why the labels are not usable, and ask whether to go on, unless confirmed already.

    Raises LabelsRefused where nobody can be asked, and Abort where the answer is no.
    """
    echo_err(f"the labels are {verdict_text(audit)}")
    echo_err(f"all that the audit found is in {run.path(audit.FILE)}")
    if confirmed:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise LabelsRefused(
            "the labels are not usable, and there is no terminal to ask whether to train on them "
            "all the same: give --yes to do so"
        )
    typer.confirm("Train on them all the same?", abort=True, err=True)


def print_result(in_json: bool, result: Any, text: str) -> None:  # noqa: FBT001 - an option
    if in_json:
        show_json(result)
    else:
        echo(text)
