"""Runs a command line of newsieve and ends it: `newsieve` and `newsieve-train` share this.

Exit codes: 0 done, 1 something is wrong, 2 wrong usage, 3 start it again. A user's mistake gets a
sentence, never a traceback. This module knows no command, so that `--help` need not load one.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Final, NamedTuple, TextIO, cast

import typer

import newsieve
from newsieve.errors import EXIT_PERSON, EXIT_USAGE, Fatal, NewsieveError
from newsieve.printable import printable_lines
from newsieve.terminal import echo

# What a program imports late is in this extra: `pip install newsieve` alone has no models.
NEEDED: Final = {"newsieve": "'newsieve[worker]'", "newsieve-train": "newsieve-training"}
OURS: Final = ("newsieve", "newsieve_schemas", "newsieve_training")


def _show_version(context: typer.Context, is_wanted: bool) -> None:  # noqa: FBT001 - as called
    if is_wanted:
        echo(f"{context.find_root().info_name} {newsieve.__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool,
    typer.Option(
        "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
    ),
]


def run(application: typer.Typer, name: str) -> None:
    """Run an application under its name; an error becomes a sentence and an exit code."""
    _replace_closed_streams()
    try:
        try:
            code = application(prog_name=name, standalone_mode=False)
        finally:
            sys.stdout.flush()  # what fails here would fail when nobody can say so any more
    except OSError as error:
        if error.filename is None:  # it is standard output's: no other attempt at the end
            sys.stdout = _null("w")
        if not isinstance(error, BrokenPipeError):
            _complain(_indented(f"{name}: {_reason(error)}"))
        sys.exit(EXIT_PERSON)
    except NewsieveError as error:
        _complain(_indented(f"{name}: {error}"))
        sys.exit(error.exit_code if isinstance(error, Fatal) else EXIT_PERSON)
    except ModuleNotFoundError as error:
        missing = missing_package(error, name)
        if missing is None:
            _complain(traceback.format_exc().rstrip())
            sys.exit(EXIT_PERSON)
        _complain(f"{name}: {missing.package} is not installed: {missing.command}")
        sys.exit(EXIT_USAGE)
    except typer.Abort:
        _complain("Aborted!")
        sys.exit(EXIT_PERSON)
    except Exception as error:  # noqa: BLE001 - it may quote others: not as the interpreter shows it
        said = _wrong_usage(error)
        _complain(said or traceback.format_exc().rstrip())
        sys.exit(EXIT_USAGE if said else EXIT_PERSON)
    sys.exit(code or 0)


def _wrong_usage(error: Exception) -> str | None:
    """Return what the command line's parser says of an error; None if it is not the parser's.

    The parser's errors have no public class in common.
    """
    show = getattr(error, "show", None)
    if show is None:
        return None
    said = io.StringIO()
    show(file=said)
    return said.getvalue().rstrip()


def _indented(sentence: str) -> str:
    """Indent what follows a line end, so that no name in it looks like a line of our own."""
    return sentence.replace("\n", "\n  ")


def _complain(text: str) -> None:
    """Print an error on stderr, escaped, since it may quote file names and answers of others."""
    print(printable_lines(text), file=sys.stderr)  # noqa: T201 - this is the command line


def _replace_closed_streams() -> None:
    """Replace a stream that the shell closed (`<&-`) by one whose use raises OSError."""
    if sys.stdin is None:
        sys.stdin = _null("w")
    if sys.stdout is None:
        sys.stdout = _null("r")


def _null(mode: str) -> TextIO:
    return cast(TextIO, Path(os.devnull).open(mode, encoding="utf-8"))


def _reason(error: OSError) -> str:
    if isinstance(error, io.UnsupportedOperation):
        return "standard input or standard output is closed"
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason


class MissingPackage(NamedTuple):
    """A package that is not installed, and the command that installs it."""

    package: str
    command: str


def missing_package(error: ModuleNotFoundError, program: str) -> MissingPackage | None:
    """Return what to install for a program, or None if a module of newsieve itself is missing."""
    package = (error.name or "").partition(".")[0]
    if not package or package in OURS:
        return None
    return MissingPackage(package, f"pip install {NEEDED[program]}")
