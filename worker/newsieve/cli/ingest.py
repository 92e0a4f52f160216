"""`newsieve ingest`: the group of commands that bring articles in, one file a command."""

from __future__ import annotations

import typer

from newsieve.cli.ingest_feeds import feeds
from newsieve.cli.ingest_files import ingest_files
from newsieve.cli.ingest_http import http

app = typer.Typer(help="Bring articles in from where they are published.", no_args_is_help=True)


@app.callback()
def _ingest() -> None:
    """Take no options: each command has its own."""


app.command("feeds")(feeds)
app.command("files")(ingest_files)
app.command("http")(http)
