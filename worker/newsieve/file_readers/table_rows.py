"""Reads tables of delimited text with a header: each row becomes a raw article with its columns for
fields.

Which columns an article may have, the caller says. Cells are text; empty ones are left out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Sequence

import orjson

from newsieve.errors import InputFileInvalid
from newsieve.file_readers.file_record import FileRecord, too_large


class _RowTooLong(Exception):
    """A row is longer than a record may be; the rest of its line was skipped."""


def columns_of(
    header: str, delimiter: str, fields: Collection[str], texts: Collection[str]
) -> list[str]:
    """Return the field of each column of a header, "" for a column without a name. A column is the
    field of its name, in whatever case.

    Raises InputFileInvalid, in a sentence whose subject is the file, for a header without a column
    that has text, or with two of one field.
    """
    by_name = {field.casefold(): field for field in reversed(list(fields))}
    names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter))]
    columns = [name if name in fields else by_name.get(name.casefold(), name) for name in names]
    if not any(name in texts for name in columns):
        raise InputFileInvalid(
            f"has no column with a title or a text: it has {', '.join(names)}. Such columns are "
            f"called {', '.join(texts)}"
        )
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise InputFileInvalid(f"has more than one column {', '.join(twice)}")
    return columns


def read_table(
    stream: io.BufferedReader, delimiter: str, columns: Sequence[str], most_bytes: int
) -> Iterator[FileRecord]:
    """Yield each row behind the header as an object of these fields."""
    text = io.TextIOWrapper(stream, "utf-8-sig", "surrogateescape", newline="")
    csv.field_size_limit(most_bytes)
    lines = _Lines(text, most_bytes)
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    while not next(rows):
        pass  # blank lines before the header
    while True:
        lines.begin_row()
        place = f"line {rows.line_num + 1:,}"
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield FileRecord(place, None, f"not a row of a table: {error}")
        except _RowTooLong:
            yield too_large(place, most_bytes)
        else:
            if row:
                yield _record(place, row, columns)


class _Lines(Iterator[str]):
    """The lines of a text, with their ends. It goes on after an error, as a generator would not."""

    def __init__(self, text: io.TextIOBase, most_characters: int) -> None:
        self._text = text
        self._most = most_characters
        self._left = most_characters  # of the row

    def begin_row(self) -> None:
        """Count the characters of a row anew: quotes join any number of lines."""
        self._left = self._most

    def __next__(self) -> str:
        line = self._text.readline(self._most)
        if not line:
            raise StopIteration
        self._left -= len(line)
        if self._left > 0:
            return line
        while line and not line.endswith(("\n", "\r")):
            line = self._text.readline(self._most)
        raise _RowTooLong


def _record(place: str, row: Sequence[str], columns: Sequence[str]) -> FileRecord:
    if len(row) != len(columns):
        problem = f"{len(row)} cells, where the header has {len(columns)}"
        return FileRecord(place, None, problem)
    article = {
        column: cell for column, cell in zip(columns, row, strict=True) if column and cell.strip()
    }
    try:
        return FileRecord(place, orjson.dumps(article))
    except TypeError:  # orjson writes no surrogates, which stand for bytes that are not UTF-8
        return FileRecord(place, None, "not UTF-8")
