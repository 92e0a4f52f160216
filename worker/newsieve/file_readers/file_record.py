"""What a reader of files yields: a record and its place, whatever the file's format. It knows no
format."""

from __future__ import annotations

from typing import NamedTuple


class FileRecord(NamedTuple):
    """One record of a file.

    `value` is a raw article as JSON, or what stands in its place. It is None for a record that
    cannot be read, whose `problem` says why, and for one that is passed over, since records of its
    kind are no articles.
    """

    place: str  # for messages, such as "line 3"
    value: bytes | None
    problem: str | None = None
    as_is: bool = False  # sent even though it is no article


def too_large(place: str, most_bytes: int) -> FileRecord:
    """Return what stands in the place of a record that is larger than the limit."""
    return FileRecord(place, None, limit_problem(most_bytes))


def limit_problem(most_bytes: int) -> str:
    """Say what is wrong with a record that is larger than the limit."""
    return f"more than the limit of {most_bytes:,} bytes"
