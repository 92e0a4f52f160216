"""Writes files and folders whole or not at all, and reads nothing.

A reader never finds half of one: not while it is written, and not after a full disk, a kill or a
power failure. This module does not know what the files contain.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

PARTIAL: Final = ".partial"
# No file takes as long to write: what is older is of a process that was killed.
STALE_SECONDS: Final = 3_600.0


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a stream whose bytes replace the file when the block ends without an error.

    Otherwise the old file stays, and nothing is left beside it. Raises OSError, which names the
    file.
    """
    target = path.resolve()  # a link stays one
    try:
        if target.exists() and not target.is_file():  # a pipe or a terminal
            with target.open("wb") as stream:
                yield stream
            return
        partial = _partial(target, str(os.getpid()))
        try:
            with partial.open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            if target.exists():  # whoever may read it still may
                shutil.copymode(target, partial)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
            _sweep(target)
    except OSError as error:  # a full disk's names no file, others' name the partial one
        raise OSError(error.errno, error.strerror, str(path)) from None


@contextmanager
def partial_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside this one, in which its replacement is prepared.

    It is deleted at the end of the block, together with those that killed processes left behind.
    Raises OSError.
    """
    partial = _partial(target, str(os.getpid()))
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        _sweep(target)


def _partial(target: Path, whose: str) -> Path:
    return target.with_name(f".{target.name}.{whose}{PARTIAL}")


def _sweep(target: Path) -> None:
    """Delete what killed processes left beside this file or folder."""
    for partial in target.parent.glob(f".*{PARTIAL}"):
        if partial.name.startswith(f".{target.name}."):
            with suppress(OSError):  # another process may be taking it away, too
                if time.time() - partial.stat().st_mtime > STALE_SECONDS:
                    shutil.rmtree(partial) if partial.is_dir() else partial.unlink()
