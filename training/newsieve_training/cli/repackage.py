"""`newsieve-train repackage`: takes a student to this version's rendering of articles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from newsieve.cli.common import ConfigOption, JsonOption, read_settings
from newsieve.terminal import echo_err
from newsieve_training.cli.options import print_result


def repackage(
    student: Annotated[Path, typer.Argument(metavar="STUDENT", help="The student's folder.")],
    labels: Annotated[
        list[Path],
        typer.Argument(metavar="LABELS…", help="The files of labels that it was trained on."),
    ],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Take a student of an earlier version to this version's rendering of articles.

    The texts that it was trained on have to be rendered as they were then. Its weights and scores
    stay what they are; its hash changes, so that its drift monitor begins anew.

    Example: newsieve-train repackage filters/local_news/v1/student labels.jsonl
    """
    from newsieve_training.data.label_aggregation import read_source
    from newsieve_training.packaging import repackage as stage

    sources = [read_source(path) for path in labels]
    check = stage.repackage(student, sources, read_settings(config).filters.registry)
    if check is None:
        echo_err("repackage: nothing to do")
    else:
        echo_err(str(check))
    counts = None if check is None else check._asdict()
    print_result(json, {"made": check is not None, "check": counts}, str(student))
