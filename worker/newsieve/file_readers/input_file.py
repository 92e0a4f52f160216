"""A file that articles are read from: where it is, and how it is known again.

A file is known by its size and by samples of its bytes, so that it may be moved, and that a name
stands for another file now is noticed.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from newsieve.errors import InputFileInvalid
from newsieve.file_readers.content_kind import STANDARD_INPUT, shown_name

_SAMPLES: Final = 64
_SAMPLE_BYTES: Final = 4_096


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file, as it was named. What can be read once only has neither fingerprint nor size."""

    name: str
    fingerprint: str | None
    size: int | None


def input_files(paths: Sequence[str]) -> list[InputFile]:
    """Return the files that are named, and those in the folders that are: by their names in order,
    but hidden ones. Raises InputFileInvalid."""
    files: list[InputFile] = []
    for path in paths:
        names = _names_in(path) if Path(path).is_dir() else [path]
        if not names:
            raise InputFileInvalid(f"there are no files in {shown_name(path)}")
        files += map(_input_file, names)
    if sum(file.name == STANDARD_INPUT for file in files) > 1:
        raise InputFileInvalid("standard input can be read only once")
    return files


def open_raw(file: InputFile) -> io.RawIOBase | io.BytesIO:
    """Open a file for the reading of its bytes. Raises InputFileInvalid."""
    try:
        if file.name != STANDARD_INPUT:
            return open(file.name, "rb", buffering=0)  # noqa: PTH123 - the caller closes it
        stream = sys.stdin.buffer
        if isinstance(stream, io.BytesIO):
            return stream
        return open(stream.fileno(), "rb", buffering=0, closefd=False)
    except OSError as error:
        raise _unreadable(file.name, error) from None


def _names_in(folder: str) -> list[str]:
    """Return the files in a folder, at whatever depth; links to folders are not followed. Raises
    InputFileInvalid for a folder that cannot be read, since its files would be missed."""

    def refuse(error: OSError) -> NoReturn:
        raise _unreadable(error.filename, error) from None

    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in files if not name.startswith(".")]
    return [str(path) for path in sorted(found) if path.is_file()]


def _unreadable(name: str, error: OSError) -> InputFileInvalid:
    return InputFileInvalid(f"cannot read {shown_name(name)}: {error.strerror or error}")


def _input_file(name: str) -> InputFile:
    if name == STANDARD_INPUT or (Path(name).exists() and not Path(name).is_file()):
        return InputFile(name, None, None)  # a pipe
    try:
        with open(name, "rb", buffering=0) as stream:  # noqa: PTH123 - for the name as it is
            size = os.fstat(stream.fileno()).st_size
            return InputFile(name, _fingerprint(stream, size), size)
    except OSError as error:
        raise _unreadable(name, error) from None


def _fingerprint(stream: io.FileIO, size: int) -> str:
    digest = hashlib.sha256(str(size).encode())
    last = max(size - _SAMPLE_BYTES, 0)
    for start in sorted({last * sample // (_SAMPLES - 1) for sample in range(_SAMPLES)}):
        stream.seek(start)
        digest.update(stream.read(_SAMPLE_BYTES) or b"")
    return f"sha256:{digest.hexdigest()}"
