"""Arguments and options that several commands of `newsieve-train` have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
