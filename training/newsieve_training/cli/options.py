"""What commands of `newsieve-train` share: arguments, options, and what they say."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from newsieve.cli.common import read_settings
from newsieve.printable import printable
from newsieve.terminal import echo, echo_err, show_json
from newsieve_training.errors import LabelsRefused
from newsieve_training.pipeline.run_folder import Run

BAD_ROWS_SHOWN: Final = 10  # all that are kept stand in the manifest

RecipeArgument = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe's TOML file.")]
LabelsArgument = Annotated[
    list[Path] | None, typer.Argument(metavar="[LABELS…]", help="JSON Lines of labels.")
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder that prepare made.")]
RunsOption = Annotated[Path, typer.Option("--runs", help="Where run folders go.")]
KafkaOption = Annotated[
    bool, typer.Option("--from-kafka", help="Labels from the oracle's topics, too.")
]
ExtendOption = Annotated[
    Path | None,
    typer.Option(
        "--extend",
        metavar="RUN",
        help="Keep that run's articles in their splits; add what it does not have.",
    ),
]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="CPU threads; default: all cores.")
]
FromOption = Annotated[
    Path | None,
    typer.Option("--from", metavar="STUDENT", help="Continue from this student's adapter."),
]
TensorBoardOption = Annotated[
    bool, typer.Option("--tensorboard", help="Curves into the run's folder tensorboard/.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="FOLDER", help="Copy the student there, too.")
]
ReasonOption = Annotated[
    str | None, typer.Option("--allow-failed-gate", metavar="REASON", help="Ship all the same.")
]
YesOption = Annotated[
    bool, typer.Option("--yes", help="Train on labels that are not usable without asking.")
]


def open_run(folder: Path, config: Path | None) -> Run:
    """The run in this folder, with the filters that the settings name. Raises SettingsInvalid."""
    return Run(folder, read_settings(config).filters.registry)


def note_previous(folder: Path | None) -> None:
    if folder is not None:
        echo_err(f"the student that was there is in {folder}: to roll back, put it back")


def note_rows(manifest: Mapping[str, Any]) -> None:
    """What prepare made of the rows of labels."""
    rows = ", ".join(f"{name} {count}" for name, count in manifest["rows"].items())
    echo_err(
        f"articles: {rows}; rows without a label {manifest['rows_without_label']}, of oracles "
        f"that the recipe does not name {manifest['rows_of_unnamed_oracles']}, bad "
        f"{manifest['bad_rows']}"
    )
    suspect = manifest.get("suspect_articles_left_out", 0)  # runs of earlier versions have none
    if suspect:
        echo_err(f"{suspect} articles that speak to a model are left out: labels.include_suspect")
    for remark in manifest.get("remarks", ()):  # likewise
        echo_err(printable(remark))
    for bad in manifest["bad_rows_listed"][:BAD_ROWS_SHOWN]:
        echo_err(printable(f"  {bad['file']}:{bad['line']} {bad['field']}: {bad['reason']}"))


def note_stage(stage: str, did: bool) -> None:  # noqa: FBT001 - what a stage returns
    echo_err(f"{stage}: {'done' if did else 'nothing to do'}")


def verdict_text(audit: Mapping[str, Any]) -> str:
    """`audit` as audit.json has it."""
    return "\n".join(
        [f"{audit['verdict']}:", *(f"- {printable(reason)}" for reason in audit["reasons"])]
    )


def confirm_unusable(run: Run, *, is_told: bool) -> None:
    """Say why the audit found that the labels are not usable, and ask whether to go on, unless told
    to. Raises LabelsRefused where nobody can be asked, and Abort where the answer is no."""
    echo_err(f"the labels are {verdict_text(run.json('audit.json'))}")
    echo_err(f"all that the audit found is in {run.path('audit.json')}")
    if is_told:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise LabelsRefused(
            "the labels are not usable, and there is no terminal to ask whether to train on them "
            "all the same: give --yes to do so"
        )
    typer.confirm("Train on them all the same?", abort=True, err=True)


def say_result(as_json: bool, facts: Any, text: str) -> None:  # noqa: FBT001 - an option
    if as_json:
        show_json(facts)
    else:
        echo(text)
