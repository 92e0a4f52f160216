"""Reads JSON Lines, one line after another, however long a line is. It does not look into lines."""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedReader
from typing import Final

from newsieve.file_readers.file_record import FileRecord, too_large

_SKIPPED_BYTES: Final = 1 << 16  # read at a time of a line that is too long


def read_lines(stream: BufferedReader, most_bytes: int, *, as_is: bool) -> Iterator[FileRecord]:
    """Yield each line that is not blank, without its end, which is \\n alone. A line that is longer
    than the limit is never held whole."""
    number = 0
    while line := stream.readline(most_bytes + 1):
        number += 1
        if len(line) > most_bytes and not line.endswith(b"\n"):
            _skip_line(stream)
            yield too_large(f"line {number:,}", most_bytes)
        elif not line.isspace():
            yield FileRecord(f"line {number:,}", line.removesuffix(b"\n"), as_is=as_is)


def _skip_line(stream: BufferedReader) -> None:
    while (part := stream.readline(_SKIPPED_BYTES)) and not part.endswith(b"\n"):
        pass
