"""Checks the files of a student, as others may have made them, before they are read.

It takes regular files of bounded size under names that can be shown, and JSON that says one thing.
It knows nothing of what stands in them.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from newsieve.errors import StudentInvalid
from newsieve.printable import one_line

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB
TOKENIZER_BYTES: Final = 64 * MIB  # ours have 500 KB, the largest that are published 35 MB
OTHER_FILE_BYTES: Final = 16 * MIB  # a model card, a training history, a tokenizer's settings
MOST_ENTRIES: Final = 1_000  # a student has a dozen files
HASHES_KEPT: Final = 64  # of files: two filters over one base hash its weights once


def files_of(folder: Path, limits_bytes: Mapping[str, int]) -> dict[str, Path]:
    """The folder's files by name, sorted; other folders and hidden files in it are passed over.

    `limits_bytes` has the sizes that files of these names may have. None where there is no folder.
    Raises StudentInvalid for what is no regular file, lies elsewhere, or is too large.
    """
    found: dict[str, Path] = {}
    home = os.path.realpath(folder)
    try:
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if number >= MOST_ENTRIES:
                    raise StudentInvalid(f"{folder} holds more than {MOST_ENTRIES:,} files")
                if not entry.name.startswith(".") and not _is_passed_over(entry, limits_bytes):
                    path = folder / entry.name
                    _check(path, home, limits_bytes.get(entry.name, OTHER_FILE_BYTES))
                    found[entry.name] = path
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise StudentInvalid(f"{folder} cannot be read: {error.strerror}") from None
    return dict(sorted(found.items()))


def _is_passed_over(entry: os.DirEntry[str], expected: Mapping[str, int]) -> bool:
    return entry.name not in expected and entry.is_dir()


def _check(path: Path, home: str, limit_bytes: int) -> None:
    shown = one_line(str(path))
    if not path.name.isprintable():  # the hash is made of lines with names
        raise StudentInvalid(f"{shown} has a name with control characters")
    where = os.path.realpath(path)
    if os.path.commonpath([home, where]) != home:
        raise StudentInvalid(
            f"{shown} is a link out of its folder: copy what it leads to into the folder (cp -rL)"
        )
    require_file(path, limit_bytes)


def require_file(path: Path, limit_bytes: int) -> None:
    """Require that this is a regular file, or a link to one, of at most so many bytes. Reads
    nothing. Raises StudentInvalid."""
    shown = one_line(str(path))
    try:
        found = path.stat()
    except OSError as error:
        raise StudentInvalid(f"{shown} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise StudentInvalid(f"{shown} is no regular file")
    if found.st_size > limit_bytes:
        raise StudentInvalid(
            f"{shown} has {found.st_size:,} bytes, at most {limit_bytes:,} are read"
        )


def read_bytes(path: Path, limit_bytes: int) -> bytes:
    """Read a regular file's bytes. Raises StudentInvalid."""
    require_file(path, limit_bytes)
    try:
        with path.open("rb") as stream:
            return stream.read(limit_bytes)
    except OSError as error:
        raise StudentInvalid(f"{one_line(str(path))} cannot be read: {error.strerror}") from None


def read_json(path: Path, limit_bytes: int) -> Any:
    """Read a file's JSON. A key that stands twice, NaN and infinity are refused: readers differ on
    what they mean. Raises StudentInvalid."""
    facts = read_bytes(path, limit_bytes)
    try:
        return json.loads(
            facts.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise StudentInvalid(f"{one_line(str(path))} is nested too deep") from None
    except ValueError as error:
        raise StudentInvalid(f"{one_line(str(path))} is not JSON: {one_line(str(error))}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for at, name in enumerate(names) if name in names[:at])
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def file_hash(path: Path) -> str:
    """SHA-256 of a regular file, in hexadecimal; once for as long as the file stays as it is.
    Raises StudentInvalid."""
    try:
        found = path.stat()
        return _hash(path, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns))
    except OSError as error:
        raise StudentInvalid(f"{one_line(str(path))} cannot be read: {error.strerror}") from None


@lru_cache(HASHES_KEPT)
def _hash(path: Path, _version: tuple[int, ...]) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
