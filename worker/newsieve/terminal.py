"""Printing for people and pipes: results on stdout, remarks and progress on stderr.

Text that others wrote is escaped, so that nothing in an article can drive a terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from newsieve.printable import printable, printable_lines

PIPED_COLUMNS: Final = 200  # of a table that is not shown on a terminal
# Between a JSON text's tokens only a space means the same; in its strings there are none of these.
_BLANKS: Final = dict.fromkeys(map(ord, "\t\n\r"), " ")


# What is printed comes from articles and files: `[x]` and `:heart:` in it are text.
_out = Console(
    highlight=False,
    markup=False,
    emoji=False,
    soft_wrap=True,
    width=None if sys.stdout and sys.stdout.isatty() else PIPED_COLUMNS,  # none when closed
)
_err = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def echo(text: str, *, is_line: bool = False) -> None:
    """Print a result on stdout, escaped; with `is_line`, line ends within it are escaped, too."""
    _out.print(printable(text) if is_line else printable_lines(text))


def echo_err(text: str) -> None:
    """Print a remark on stderr, escaped."""
    _err.print(printable_lines(text))


def show_json(value: Any) -> None:
    for line in json.dumps(value, ensure_ascii=False, indent=2).split("\n"):
        write_line(line.encode("utf-8", "replace"))


def show_value(value: bytes) -> None:
    """Print a record's value on one line. If the value is JSON, the line means the same."""
    text = value.decode("utf-8", "replace").translate(_BLANKS)
    write_line(printable(text).encode())
    sys.stdout.flush()


def write_line(line: bytes) -> None:
    """Write a line of JSON to stdout; on a terminal it is escaped to JSON that means the same.

    The line is not flushed: a caller that writes single lines as they come does that.
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
    """Show a progress bar on stderr if that is a terminal. Yields a function that advances it."""
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
