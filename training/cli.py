"""The `newsieve-train` command: one stage a command, on one run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from worker.cli import run as run_application
from worker.cli.common import note, say
from worker.observe import logs

app = typer.Typer(
    help="Makes students from oracle labels: prepare, fit, evaluate, package.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder that prepare made.")]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="CPU threads; default: all cores.")
]


def main() -> None:
    """Run the command line and exit."""
    run_application(app, "newsieve-train")


@app.callback()
def _set_up() -> None:
    logs.configure()


@app.command()
def prepare(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe's TOML file.")],
    labels: Annotated[list[Path], typer.Argument(metavar="LABELS…", help="JSON Lines of labels.")],
    runs: Annotated[Path, typer.Option("--runs", help="Where run folders go.")] = Path("runs"),
) -> None:
    """Clean, deduplicate and split labels; prints the run's folder.

    Example: newsieve-train prepare training/recipes/uplifting_minilm.toml labels.jsonl
    """
    from training import prepare as stage
    from training.recipe import read_recipe

    run, made = stage.prepare(read_recipe(recipe), labels, runs)
    data = run.facts["data"]
    rows = ", ".join(f"{name} {count}" for name, count in data["rows"].items())
    note(
        f"{'prepared' if made else 'nothing to do'}: {rows}; bad rows {data['bad_rows']}, "
        f"rows of oracles that the recipe does not name {data['rows_of_unnamed_oracles']}"
    )
    say(str(run.folder))


@app.command()
def fit(run: RunArgument, threads: ThreadsOption = None) -> None:
    """Train the adapter and the head.

    Example: newsieve-train fit runs/uplifting-20261122-0af0cba1
    """
    from training import fit as stage
    from training.run import Run

    _report(stage.fit(Run(run), threads), run)


@app.command()
def evaluate(run: RunArgument) -> None:
    """Judge the student on articles it never saw, beside two baselines.

    Example: newsieve-train evaluate runs/uplifting-20261122-0af0cba1
    """
    from training import evaluate as stage
    from training.run import Run

    _report(stage.evaluate(Run(run)), run)
    say((run / "metrics.json").read_text(encoding="utf-8").rstrip())


@app.command()
def package(
    run: RunArgument,
    out: Annotated[
        Path | None, typer.Option("--out", help="Default: the run's own folder student/.")
    ] = None,
    allow_failed_gate: Annotated[
        str | None, typer.Option("--allow-failed-gate", metavar="REASON", help="Ship all the same.")
    ] = None,
) -> None:
    """Write the student folder, if the student passes the recipe's gate.

    Example: newsieve-train package runs/uplifting-20261122-0af0cba1 --out student
    """
    from training import package as stage
    from training.run import Run

    say(str(stage.package(Run(run), out or run / "student", allow_failed_gate)))


def _report(did: bool, run: Path) -> None:  # noqa: FBT001 - what a stage returns
    note(f"done: {run}" if did else f"nothing to do: {run} is up to date")
