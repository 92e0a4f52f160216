"""What commands share: common options, the reading of settings, files and times.

It knows no single command.
"""

from __future__ import annotations

import datetime as dt
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer

from newsieve.errors import InputFileInvalid, WrongUsage
from newsieve.settings.loader import Settings, ignored_variables, load_settings
from newsieve.stream import logs
from newsieve.terminal import echo_err

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="The settings file; default: newsieve.toml, if it exists."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

_log = logs.get_logger("settings")


def moment_of(option: str, text: str) -> dt.datetime:
    """Parse an ISO 8601 time, in UTC unless it says otherwise. Raises WrongUsage."""
    try:
        moment = dt.datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except (ValueError, OverflowError):  # in UTC the year may be 0 or 10,000
        raise WrongUsage(f"{option} {text!r} is not a time such as 2026-11-22T16:00") from None


def read_settings(config: Path | None) -> Settings:
    """Read the settings of file and environment, and set logging up. Raises SettingsInvalid."""
    logs.configure()
    settings = load_settings(config, os.environ)
    logs.set_level(settings.observe.log_level)
    for name, meant in ignored_variables(os.environ).items():
        _log.warning(
            "setting.ignored",
            variable=name,
            advice=f"it names no section: set {' or '.join(meant)}",
        )
    return settings


def exit_for_dead_letters(count: int) -> None:
    """Exit with 1 if lines of the output are dead letters, and say where to find them."""
    if count:
        echo_err(
            f"dead letters among the lines: {count:,}. Each says why, in its place in the output: "
            '"outcome":"dead_letter"'
        )
        raise typer.Exit(1)


def this_program() -> str:
    """Return the command that starts this very newsieve from a shell here, whatever its PATH is."""
    beside = Path(sys.executable).with_name("newsieve")
    for path in (Path(sys.argv[0]), beside):
        if path.name == beside.name and path.is_file():
            return shlex.quote(_from_here(path))
    return f"{shlex.quote(_from_here(Path(sys.executable)))} -m newsieve"


def _from_here(path: Path) -> str:
    """Return the path, relative below the working directory, but never a bare name.

    A shell would look a bare name up in PATH.
    """
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - a link of a virtual environment stays
    if not absolute.is_relative_to(Path.cwd()):
        return str(absolute)
    relative = str(absolute.relative_to(Path.cwd()))
    return relative if os.sep in relative else os.path.join(os.curdir, relative)  # noqa: PTH118


@contextmanager
def open_input(file: str) -> Iterator[IO[bytes]]:
    """Open a file, or standard input for `-`, to read bytes. Raises InputFileInvalid."""
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = open(file, "rb")  # noqa: SIM115, PTH123 - closed below
    except OSError as error:
        raise InputFileInvalid(f"cannot read {file}: {error.strerror}") from None
    with stream:
        yield stream
