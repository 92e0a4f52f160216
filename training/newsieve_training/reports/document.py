"""Writes a report, which is a list of blocks, as plain text, Markdown or Word. Knows no figures."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import docx
from docx.shared import Inches

from newsieve.printable import printable

TEXT_COLUMNS: Final = 100
PICTURE_INCHES: Final = 6.3


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the title."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of running text."""

    text: str


@dataclass(frozen=True)
class Points:
    """A list of short statements."""

    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table of text; every row has as many cells as there are columns."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A PNG beside the document."""

    name: str
    caption: str


Block = Heading | Paragraph | Points | Table | Picture


# What a reader of Markdown, or of the HTML that is allowed in it, takes for more than a character.
# An underscore between two letters is one; a hash at the end would be the end of a heading.
_MARKDOWN: Final = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])|#$")
_HTML: Final = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
# What makes more of a line that begins with it: a heading, a list, a rule. A number may begin one.
_BEGINNING: Final = re.compile(r"^(?:#|[-+](?=[\s+-]|$)|(\d{1,9})(?=[.)](?:\s|$)))")


def _line(text: str) -> str:
    """Return a text, of whoever, as one line of characters that every form can show."""
    return printable(" ".join(text.split()))


def escape_markdown(text: str) -> str:
    """Return the line in Markdown, where nothing of it is markup, whoever wrote it."""
    escaped = _MARKDOWN.sub(r"\\\g<0>", _line(text).translate(_HTML))
    return _BEGINNING.sub(_escaped, escaped)


def _escaped(match: re.Match[str]) -> str:
    return f"{match[1]}\\" if match[1] else f"\\{match[0]}"


def as_markdown(blocks: Sequence[Block]) -> str:
    return "\n\n".join("\n".join(_markdown(block)) for block in blocks) + "\n"


def as_text(blocks: Sequence[Block]) -> str:
    return "\n\n".join("\n".join(_text(block)) for block in blocks) + "\n"


def write_word(blocks: Sequence[Block], pictures: Path, path: Path) -> None:
    """Write a .docx file with the pictures of a folder inside."""
    document = docx.Document()
    for block in blocks:
        match block:
            case Heading(text, level):
                document.add_heading(_line(text), level - 1)
            case Paragraph(text):
                document.add_paragraph(_line(text))
            case Points(items):
                for item in items:
                    document.add_paragraph(_line(item), style="List Bullet")
            case Table(columns, rows):
                table = document.add_table(rows=0, cols=len(columns), style="Light Grid Accent 1")
                for row in (columns, *rows):
                    for cell, text in zip(table.add_row().cells, row, strict=True):
                        cell.text = _line(text)
                document.add_paragraph()
            case Picture(name, caption):
                document.add_picture(str(pictures / name), width=Inches(PICTURE_INCHES))
                document.add_paragraph(caption, style="Caption")
    document.save(str(path))


def _markdown(block: Block) -> Iterator[str]:
    match block:
        case Heading(text, level):
            yield f"{'#' * level} {escape_markdown(text)}"
        case Paragraph(text):
            yield escape_markdown(text)
        case Points(items):
            yield from (f"- {escape_markdown(item)}" for item in items)
        case Table(columns, rows):
            yield f"| {' | '.join(map(escape_markdown, columns))} |"
            yield f"|{' --- |' * len(columns)}"
            for row in rows:
                yield f"| {' | '.join(map(escape_markdown, row))} |"
        case Picture(name, caption):
            yield f"![{escape_markdown(caption)}]({name})"


def _text(block: Block) -> Iterator[str]:
    match block:
        case Heading(text, level):
            yield _line(text.upper() if level == 1 else text)
            yield ("=" if level == 1 else "-") * len(text)
        case Paragraph(text):
            yield from textwrap.wrap(_line(text), TEXT_COLUMNS)
        case Points(items):
            for item in items:
                yield from textwrap.wrap(
                    _line(item), TEXT_COLUMNS, initial_indent="- ", subsequent_indent="  "
                )
        case Table(columns, rows):
            names, *lines = [[_line(cell) for cell in row] for row in (columns, *rows)]
            widths = [max(map(len, column)) for column in zip(names, *lines, strict=True)]
            for row in (names, ["-" * width for width in widths], *lines):
                cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
                yield "  ".join(cells).rstrip()
        case Picture(name, caption):
            yield f"[{name}: {caption}]"
