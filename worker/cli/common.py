"""What commands share: their common options, reading settings, printing rows."""

from __future__ import annotations

import datetime as dt
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

import worker
from worker.errors import InputFileInvalid, WrongUsage
from worker.observe import logs
from worker.printable import printable, printable_lines
from worker.settings import Settings, ignored_variables, load_settings


def _show_version(context: typer.Context, is_wanted: bool) -> None:  # noqa: FBT001 - as called
    if is_wanted:
        say(f"{context.find_root().info_name} {worker.__version__}")
        raise typer.Exit


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Settings; default newsieve.toml if there is one."
    ),
]
VersionOption = Annotated[
    bool,
    typer.Option(
        "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]

PIPED_COLUMNS: Final = 200  # of a table that is not shown on a terminal
# Between a JSON text's tokens only a space means the same; in its strings there are none of these.
_BLANKS: Final = dict.fromkeys(map(ord, "\t\n\r"), " ")

_log = logs.get_logger("settings")

# What is printed comes from articles and files: `[x]` and `:heart:` in it are text.
_out = Console(
    highlight=False,
    markup=False,
    emoji=False,
    soft_wrap=True,
    width=None if sys.stdout and sys.stdout.isatty() else PIPED_COLUMNS,  # none when closed
)
_err = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def moment_of(option: str, text: str) -> dt.datetime:
    """An ISO 8601 time, in UTC unless it says otherwise. Raises WrongUsage."""
    try:
        moment = dt.datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except (ValueError, OverflowError):  # in UTC the year may be 0 or 10,000
        raise WrongUsage(f"{option} {text!r} is not a time such as 2026-11-22T16:00") from None


def read_settings(config: Path | None) -> Settings:
    """Settings from file and environment, with logging set up. Raises SettingsInvalid."""
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


def say(text: str, *, is_line: bool = False) -> None:
    """A result, on stdout, as it may be shown; of one line, what would end it, too."""
    _out.print(printable(text) if is_line else printable_lines(text))


def note(text: str) -> None:
    """What is going on, on stderr."""
    _err.print(printable_lines(text))


def exit_for_dead_letters(count: int) -> None:
    """End with 1 where lines in the output are dead letters, and say where to look."""
    if count:
        note(
            f"dead letters among the lines: {count:,}. Each says why, in its place in the output: "
            '"outcome":"dead_letter"'
        )
        raise typer.Exit(1)


def this_program() -> str:
    """How a shell in this directory starts this very newsieve, whatever its PATH is."""
    beside = Path(sys.executable).with_name("newsieve")
    for path in (Path(sys.argv[0]), beside):
        if path.name == beside.name and path.is_file():
            return shlex.quote(_from_here(path))
    return f"{shlex.quote(_from_here(Path(sys.executable)))} -m worker"


def _from_here(path: Path) -> str:
    """Relative below the working directory; never a bare name, which a shell looks up in PATH."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - a link of a virtual environment stays
    if not absolute.is_relative_to(Path.cwd()):
        return str(absolute)
    relative = str(absolute.relative_to(Path.cwd()))
    return relative if os.sep in relative else os.path.join(os.curdir, relative)  # noqa: PTH118


def show_json(value: Any) -> None:
    for line in json.dumps(value, ensure_ascii=False, indent=2).split("\n"):
        write_line(line.encode("utf-8", "replace"))


def show_value(value: bytes) -> None:
    """A record's value on a line of its own. If it is JSON, the line means the same."""
    text = value.decode("utf-8", "replace").translate(_BLANKS)
    write_line(printable(text).encode())
    sys.stdout.flush()


def write_line(line: bytes) -> None:
    """A line of JSON on stdout: as it is, or, on a terminal, escaped to JSON that means the same.

    Not flushed: whoever writes one at a time, as they come, does that.
    """
    if sys.stdout.isatty():
        line = printable(line.decode("utf-8", "replace")).encode()
    sys.stdout.buffer.write(line + b"\n")


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    table = Table(
        *columns, title=printable(title) or None, title_justify="left", box=None, pad_edge=False
    )
    for row in rows:
        table.add_row(*(printable(str(cell)) for cell in row))
    _out.print(table)


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr, only on a terminal. Yields what moves it on."""
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=_err,
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    with bar:
        task = bar.add_task(printable(what), total=total)
        yield lambda amount: bar.advance(task, amount)


@contextmanager
def open_input(file: str) -> Iterator[IO[bytes]]:
    """A file's bytes, or standard input's for `-`. Raises InputFileInvalid."""
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = open(file, "rb")  # noqa: SIM115, PTH123 - closed below
    except OSError as error:
        raise InputFileInvalid(f"cannot read {file}: {error.strerror}") from None
    with stream:
        yield stream


def lines_of(stream: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Numbered lines, 0-based, ended by \\n only. Blank ones are skipped but counted."""
    for number, line in enumerate(stream):
        if line.strip():
            yield number, line.removesuffix(b"\n")
