"""Opens the files of a run: all of them once before anything is sent, so that a bad name or a
format that is not read costs nothing, and each again when its turn comes.

It does not know what becomes of their records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from newsieve.errors import InputFileInvalid
from newsieve.file_readers.file_record import FileRecord
from newsieve.file_readers.input_file import InputFile, open_raw
from newsieve.file_readers.reading import ReadingPolicy, format_of, read_records
from newsieve.file_readers.source import Source
from newsieve.programs.ingest.file_progress import KeyedFile

UNLESS: Final = "Nothing was sent; --as-is sends each line all the same"


class FileToSend(NamedTuple):
    """A file that can be read. What can be read once only is open already."""

    keyed: KeyedFile
    source: Source | None

    @contextmanager
    def opened(self) -> Iterator[Source]:
        """Open the file at its beginning, and close it at the end. Raises InputFileInvalid."""
        with self.source or Source(open_raw(self.keyed.file)) as source:
            yield source


def checked(files: Sequence[KeyedFile], policy: ReadingPolicy) -> list[FileToSend]:
    """Return the files, each of a format that is read. Raises InputFileInvalid for the first that
    is not, or cannot be opened."""
    return [FileToSend(item, _checked(item.file, policy)) for item in files]


def records_of(
    file: InputFile, source: Source, policy: ReadingPolicy, skipped: int
) -> Iterator[FileRecord]:
    """Yield the records of an open file behind those that are skipped. Raises InputFileInvalid and
    OSError."""
    return read_records(source, format_of(file.name, source, policy), policy, skipped)


def _checked(file: InputFile, policy: ReadingPolicy) -> Source | None:
    source = Source(open_raw(file))
    is_kept = file.fingerprint is None
    try:
        format_of(file.name, source, policy)
    except InputFileInvalid as error:
        is_kept = False
        raise InputFileInvalid(f"{error}. {UNLESS}") from None
    except BaseException:
        is_kept = False
        raise
    finally:
        if not is_kept:
            source.close()
    return source if is_kept else None
