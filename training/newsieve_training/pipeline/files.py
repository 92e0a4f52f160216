"""Reads and writes the files of a run. Every file is written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from newsieve.files import whole_file

Row = dict[str, Any]

CHUNK_BYTES: Final = 1 << 20
_NUMBERS: Final = re.compile(r"\[\n\s*(-?[0-9][-+0-9.,eE\s]*?)\s*\]")  # no string has a line end


def hash_of(*values: Any) -> str:
    """Return a SHA-256 of JSON values, independent of the order of keys."""
    canonical = json.dumps(values, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def files_below(folder: Path) -> list[str]:
    """List all files of a folder as sorted relative paths; none where there is no folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def read_jsonl(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON, with lists of numbers on one line."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    write_text(path, _NUMBERS.sub(lambda match: f"[{' '.join(match[1].split())}]", text) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write all of the text or nothing, also when the power fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as stream:
        stream.write(text.encode())


def copy_file(source: Path, path: Path) -> None:
    """Copy all of a file or nothing, also when the power fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as original, whole_file(path) as stream:
        shutil.copyfileobj(original, stream, CHUNK_BYTES)
