"""JSON Lines as files have them, whoever made the file: with a byte order mark, with CRLF, with ids
beyond 64 bits.

Lines are counted from 1, as editors do, but for `lines_of`, whose numbers stand in records. What an
object means this module does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from newsieve.errors import NotAnObject
from newsieve.records.json_parsing import MAX_RECORD_BYTES, parse, parse_exactly

BYTE_ORDER_MARK = "\ufeff".encode()


def numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the lines with their numbers. Blank ones are skipped but counted."""
    for number, line in enumerate(lines, 1):
        text = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
        if text.strip():
            yield number, text


def read_object(line: bytes) -> dict[str, Any]:
    """Return the line's object, its id exact whatever its size. Raises DecodeError."""
    facts = parse(line, MAX_RECORD_BYTES)
    if type(facts) is not dict:
        raise NotAnObject("not a JSON object")
    if type(facts.get("id")) is float:  # perhaps an integer beyond 64 bits
        facts["id"] = parse_exactly(line).get("id")
    return facts


def lines_of(stream: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield lines with their numbers from 0, ended by \\n only. Blank lines are skipped but
    counted.
    """
    for number, line in enumerate(stream):
        if line.strip():
            yield number, line.removesuffix(b"\n")
