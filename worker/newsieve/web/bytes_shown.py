"""Bytes that others wrote, as text: what is UTF-8 as it reads, and anything as a hex dump.

It knows no page.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

ROW_BYTES: Final = 16
FIRST_VISIBLE, LAST_VISIBLE = 0x20, 0x7E  # of ASCII


def as_text(value: bytes) -> str | None:
    """Return what the bytes say in UTF-8, None where they are something else. A character that is
    cut off at the end is left out."""
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        is_cut = error.end == len(value) and error.reason == "unexpected end of data"
        return value[: error.start].decode() if is_cut else None


def hex_dump(value: bytes) -> str:
    """Return the bytes in rows of 16: the place of the first, all in hexadecimal, and as ASCII."""
    return "\n".join(_rows(value))


def _rows(value: bytes) -> Iterator[str]:
    for start in range(0, len(value), ROW_BYTES):
        row = value[start : start + ROW_BYTES]
        shown = "".join(chr(byte) if FIRST_VISIBLE <= byte <= LAST_VISIBLE else "." for byte in row)
        yield f"{start:06x}  {row.hex(' '):<{ROW_BYTES * 3 - 1}}  {shown}"
