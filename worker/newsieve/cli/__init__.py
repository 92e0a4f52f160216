"""The `newsieve` command: one module a command, results on stdout, logs on stderr.

A command is imported when it is called: all of them together take a second, and `--help` needs only
their names.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from newsieve.cli.application import VersionOption, run


class CommandPlace(NamedTuple):
    """Names a `typer.Typer` or a function in a module of this package."""

    module: str
    attribute: str
    summary: str  # in `newsieve --help`: one line


COMMANDS: Final = {
    "demo": CommandPlace("demo", "demo", "Start a broker and score sample articles, to look at."),
    "broker": CommandPlace("broker", "broker", "Start a Kafka broker on this machine."),
    "produce": CommandPlace("produce", "produce", "Put articles on the raw topic, one per line."),
    "ingest": CommandPlace("ingest", "app", "Bring articles in from where they are published."),
    "worker": CommandPlace("worker", "work", "Score raw articles and publish the outcomes."),
    "score": CommandPlace("score", "score", "Score articles: one JSON line for each line in."),
    "tier": CommandPlace("tier", "tier", "Decide tiers from scores that are there already."),
    "serve": CommandPlace("serve", "serve", "Show pages, feeds and an API over the topics."),
    "tail": CommandPlace("tail", "tail", "Show a topic's committed records."),
    "doctor": CommandPlace("doctor", "doctor", "Check settings, filters, students and the broker."),
    "topics": CommandPlace("topics", "app", "Create the topics, or check them."),
    "oracle": CommandPlace("oracle", "app", "Ask the oracle for the label of each request."),
    "dlq": CommandPlace("dlq", "app", "List dead letters, and replay them."),
    "push": CommandPlace("push", "push", "Deliver a topic's records to a webhook."),
    "review": CommandPlace("review", "app", "Compare people's scores with oracle and student."),
    "filters": CommandPlace("filters", "app", "List, show, check and begin filters."),
    "drift": CommandPlace("drift", "app", "Watch for drift of students and of the oracle."),
}


class LazyGroup(TyperGroup):
    """A group of commands that imports each one when it is called."""

    def __init__(self, **attributes: Any) -> None:
        """Take typer's attributes, and register the names, which typer's suggestions need."""
        super().__init__(**attributes)
        for name, place in COMMANDS.items():
            self.add_command(TyperCommand(name, short_help=place.summary))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - as called
        """Import a command and return it, or None if there is none of this name."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        target = getattr(import_module(f"newsieve.cli.{place.module}"), place.attribute)
        holder = typer.Typer(rich_markup_mode=None)
        if isinstance(target, typer.Typer):
            holder.add_typer(target, name=cmd_name)
        else:
            holder.command(cmd_name)(target)
        return typer.main.get_group(holder).commands[cmd_name]

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - as called
        """Write the names and summaries, without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.summary) for name, place in COMMANDS.items()])


app = typer.Typer(
    cls=LazyGroup,
    help="Scores a stream of news articles with distilled language models, exactly once.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback()
def _options(version: VersionOption = False) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run the command line and exit."""
    run(app, "newsieve")
