"""Refuses files that are not JSON Lines, by their first line, and says how to convert them.

Only the first line with anything in it is looked at: a bad line further on is that record's fault.
This module knows nothing of articles.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import IO

from newsieve.errors import InputFileInvalid
from newsieve.file_readers.content_kind import (
    HEAD_BYTES,
    begins_an_object,
    conversion_advice,
    kind_of,
    shown_name,
)


def require_json_lines(file: str, stream: IO[bytes]) -> Iterable[bytes]:
    """Return all lines of the stream if the first one is a JSON object.

    Raises InputFileInvalid, which says what the file looks like.
    """
    before: list[bytes] = []
    try:
        while (line := stream.readline(HEAD_BYTES)).isspace():
            before.append(line)
        if begins_an_object(line) and not line.endswith(b"\n"):
            line += stream.readline()
    except OSError as error:
        raise InputFileInvalid(f"cannot read {file}: {error.strerror or error}") from None
    name = shown_name(file)
    if not line:
        raise InputFileInvalid(f"{name} is empty")
    kind = kind_of(line)
    if kind is not None:
        what = f"{name} is not JSON Lines: its first line looks like {kind.name}"
        raise InputFileInvalid(f"{what}{conversion_advice(file, kind)}")
    return chain([*before, line], stream)
