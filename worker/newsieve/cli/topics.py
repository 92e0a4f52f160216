"""`newsieve topics`: creates topics that are missing, and reports how topics differ.

Which topics there are is in the table of `newsieve_schemas.topics`.
"""

from __future__ import annotations

import dataclasses

import typer

from newsieve.bootstrap.common import all_topics, cluster, load_filters
from newsieve.cli.common import ConfigOption, JsonOption, read_settings
from newsieve.kafka.admin import TopicAdmin
from newsieve.terminal import echo, show_json, show_table

app = typer.Typer(help="Create the topics, or check them.", no_args_is_help=True)


@app.command()
def create(config: ConfigOption = None) -> None:
    """Create the topics that are missing, for the filters in the settings.

    Example: newsieve topics create
    """
    settings = read_settings(config)
    created = TopicAdmin(cluster(settings)).create(all_topics(settings, load_filters(settings)))
    for name in created:
        echo(f"created {name}")
    if not created:
        echo("nothing to do: all topics exist")


@app.command()
def check(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List how the topics differ from what newsieve needs; exit 1 if any does.

    Example: newsieve topics check
    """
    settings = read_settings(config)
    wanted = all_topics(settings, load_filters(settings))
    differences = TopicAdmin(cluster(settings)).differences(wanted)
    if json:
        show_json([dataclasses.asdict(item) for item in differences])
    elif differences:
        rows = [(item.topic, item.what, item.mend) for item in differences]
        show_table("", ["topic", "difference", "mend with"], rows)
    else:
        echo(f"all {len(wanted)} topics are as they should be")
    if differences:
        raise typer.Exit(1)
