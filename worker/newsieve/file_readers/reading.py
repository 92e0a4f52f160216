"""Chooses the reader of a file by what the file begins with, and reads it to its end or to where it
is broken.

The names of files do not count. What becomes of the records, this module does not know.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple, cast

from newsieve.errors import InputFileInvalid
from newsieve.file_readers.content_kind import (
    ARRAY,
    BARS,
    CARRIAGE_RETURNS,
    COMMAS,
    HEAD_BYTES,
    OBJECTS,
    SEMICOLONS,
    TABS,
    TEXT_SEQUENCE,
    WARC,
    Kind,
    begins_an_object,
    conversion_advice,
    kind_of,
    shown_name,
)
from newsieve.file_readers.file_record import FileRecord
from newsieve.file_readers.json_values import read_json_values
from newsieve.file_readers.lines import read_lines
from newsieve.file_readers.source import Source
from newsieve.file_readers.table_rows import columns_of, read_table
from newsieve.file_readers.web_archive import PageReader, read_web_archive
from newsieve.file_readers.wrappings import BROKEN, BUFFER_BYTES, Wrapping, opened_head

_JSON_VALUES: Final = (ARRAY, OBJECTS, CARRIAGE_RETURNS, TEXT_SEQUENCE)
_LINES_SEEN: Final = 2
_DELIMITERS: Final = {TABS: "\t", COMMAS: ",", SEMICOLONS: ";", BARS: "|"}


@dataclass(frozen=True, slots=True)
class ReadingPolicy:
    """What records of files may be: how large, which columns of a table are fields of an article
    and which of these have text, how a page becomes an article, whether lines that are no articles
    are records all the same, and whether each file is taken for lines."""

    most_bytes: int
    fields: Collection[str]
    texts: Collection[str]
    read_page: PageReader
    keeps_bad_lines: bool = False
    is_lines: bool = False  # whatever it looks like


class FileFormat(NamedTuple):
    """What a file is wrapped in, outermost first, and what is inside; None stands for JSON Lines.
    A table has columns."""

    wrappings: list[Wrapping]
    kind: Kind | None
    columns: Sequence[str] = ()

    def wrapped_in(self) -> str:
        """The wrappings' names, for messages."""
        return " and ".join(wrapping.name for wrapping in self.wrappings)


def format_of(file: str, source: Source, policy: ReadingPolicy) -> FileFormat:
    """Return the format of a file that has not been read. Raises InputFileInvalid, which names the
    file, for one without records or of a format that is not read."""
    if policy.is_lines:
        return FileFormat([], None)
    try:
        found = _look(source, policy)
    except InputFileInvalid as error:
        raise InputFileInvalid(f"{shown_name(file)} {error}") from None
    except OSError as error:
        raise InputFileInvalid(
            f"cannot read {shown_name(file)}: {error.strerror or error}"
        ) from None
    if found is None:
        raise InputFileInvalid(f"{shown_name(file)} is empty")
    kind = found.kind
    if kind is None or kind in (WARC, *_JSON_VALUES, *_DELIMITERS):
        return found
    inside = f"{found.wrapped_in()} data, and inside " if found.wrappings else ""
    advice = conversion_advice(file, kind) if not found.wrappings else ""
    raise InputFileInvalid(
        f"{shown_name(file)} has no articles that can be read: it looks like {inside}{kind.name}"
        f"{advice}"
    )


def read_records(
    source: Source, what: FileFormat, policy: ReadingPolicy, skipped: int = 0
) -> Iterator[FileRecord]:
    """Yield the records of a source behind the first ones that are skipped.

    Broken data end it with a record that says so. Raises OSError.
    """
    try:
        if what.kind is WARC:
            yield from read_web_archive(source, policy.read_page, policy.most_bytes, skipped)
        else:
            yield from islice(_records(source, what, policy), skipped, None)
    except BROKEN as error:
        place = f"byte {source.tell():,} of the file"
        why = " ".join(str(error).split())
        problem = f"its {what.wrapped_in()} data are broken ({why}), and its rest is not read"
        yield FileRecord(place, None, problem)


def _records(source: Source, what: FileFormat, policy: ReadingPolicy) -> Iterator[FileRecord]:
    stream: io.BufferedReader[Any] = io.BufferedReader(source, BUFFER_BYTES)
    for wrapping in what.wrappings:
        stream = cast(io.BufferedReader, wrapping.open(stream))  # all read as that one
    if what.kind is None:
        return read_lines(stream, policy.most_bytes, as_is=policy.keeps_bad_lines)
    if what.kind in _DELIMITERS:
        return read_table(stream, _DELIMITERS[what.kind], what.columns, policy.most_bytes)
    return read_json_values(stream, policy.most_bytes)


def _look(source: Source, policy: ReadingPolicy) -> FileFormat | None:
    """Look at a source until its format is clear; None for nothing but white space. Raises
    InputFileInvalid with a sentence whose subject is the file."""
    has_more = True
    while True:
        if not source.head:
            has_more = source.look_further()
        wrappings, head, problem = opened_head(source.head)
        lines = _first_lines(head)
        is_whole = not has_more or max(len(head), len(source.head)) > policy.most_bytes
        if not is_whole and not _is_enough(lines):
            has_more = source.look_further()
            continue
        if not lines and problem is not None:
            raise InputFileInvalid(f"is broken: {problem}")
        if not lines:
            return None
        kind = _kind_of_file(lines)
        if kind and kind.first_object == "broken" and len(lines[0]) > policy.most_bytes:
            kind = None  # a record that is too large, of which this is the beginning
        columns: Sequence[str] = ()
        if kind in _DELIMITERS:
            header = lines[0].decode("utf-8-sig").strip()
            columns = columns_of(header, _DELIMITERS[kind], policy.fields, policy.texts)
        return FileFormat(wrappings, kind, columns)


def _first_lines(head: bytes) -> list[bytes]:
    """Return the first two lines that are not blank, or what there is of them."""
    lines: list[bytes] = []
    start = 0
    while start < len(head) and len(lines) < _LINES_SEEN:
        end = head.find(b"\n", start) + 1 or len(head)
        if not head[start:end].isspace():
            lines.append(head[start:end])
        start = end
    return lines


def _is_enough(lines: Sequence[bytes]) -> bool:
    """Say whether these lines tell the format, so that a pipe's writer is not waited for."""
    if not lines:
        return False
    first = lines[0]
    if not begins_an_object(first):
        return first.endswith(b"\n") or len(first) >= HEAD_BYTES
    if not first.endswith(b"\n"):
        return False
    is_clear = kind_of(first) is None or _ends_an_object(first)
    return is_clear or (len(lines) == _LINES_SEEN and lines[1].endswith(b"\n"))


def _kind_of_file(lines: Sequence[bytes]) -> Kind | None:
    """Return what is in a file with these first lines: also JSON Lines whose first one is bad."""
    first = lines[0]
    kind = kind_of(first if begins_an_object(first) else first[:HEAD_BYTES])
    if kind is None or not (kind is OBJECTS or kind.first_object):
        return kind
    if _ends_an_object(first) and kind.first_object != "broken":
        return OBJECTS
    return None if len(lines) == _LINES_SEEN and kind_of(lines[1]) is None else kind


def _ends_an_object(line: bytes) -> bool:
    return line.rstrip(b" \t\r\n,").endswith(b"}")
