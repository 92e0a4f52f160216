"""Splits the bytes of a JSON array into the bytes of its elements, without parsing these.

An element may be anything, also what is not JSON: whoever decodes it decides about its own bytes.
Like `json_scan`, it works at the speed of memory, whatever the bytes are.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from newsieve.errors import InvalidJson
from newsieve.records.json_parsing import BYTE_ORDER_MARK

WHITE_SPACE: Final = b" \t\n\r"
_BLOCK_BYTES: Final = 65_536  # stays in a processor's cache
_QUOTE, _COMMA = b'",'
_STEPS: Final = np.zeros(256, np.int8)  # by byte: how much deeper it leads
_STEPS[list(b"[{")] = 1
_STEPS[list(b"]}")] = -1
_UNREAD: Final = b"\0\0"  # in place of an escaped character; as long


def is_array(value: bytes) -> bool:
    """Whether the JSON text would be an array by its first character."""
    return value.removeprefix(BYTE_ORDER_MARK).lstrip(WHITE_SPACE).startswith(b"[")


def elements_of(value: bytes, most: int) -> list[bytes]:
    """Return the elements of an array, each without the white space around it; of an array with
    more than `most`, only so many and one more.

    Raises InvalidJson where brackets, braces and quotes do not end where the array does, so that
    nobody knows where its elements do.
    """
    text = value.removeprefix(BYTE_ORDER_MARK).strip(WHITE_SPACE)
    inside = text[1:-1]
    if not (text.startswith(b"[") and text.endswith(b"]") and len(text) > 1):
        raise InvalidJson("not JSON: the array does not end")
    if not inside.strip(WHITE_SPACE):
        return []
    commas = _outer_commas(inside, most)
    if len(commas) > most:
        commas, inside = commas[:most], inside[: commas[most]]
    bounds = zip([-1, *commas], [*commas, len(inside)], strict=True)
    return [inside[start + 1 : end].strip(WHITE_SPACE) for start, end in bounds]


def _outer_commas(inside: bytes, enough: int) -> list[int]:
    """Return the places of the commas that are in no string, array or object, but look no further
    when there are more than enough. Raises InvalidJson."""
    plain = inside
    if b"\\" in inside:
        plain = inside.replace(b"\\\\", _UNREAD).replace(b'\\"', _UNREAD)
    characters = np.frombuffer(plain, np.uint8)
    commas: list[int] = []
    depth = quotes = 0
    for start in range(0, len(characters), _BLOCK_BYTES):
        block = characters[start : start + _BLOCK_BYTES]
        # Bytes overflow, but a parity does not care.
        parity = np.cumsum(block == _QUOTE, dtype=np.uint8) + np.uint8(quotes)
        is_outside = parity & 1 == 0
        depths = np.cumsum(_STEPS[block] * is_outside, dtype=np.int32) + depth
        if depths.min() < 0:
            raise InvalidJson("not JSON: the array ends before its last character")
        outer = np.flatnonzero((block == _COMMA) & is_outside & (depths == 0))
        commas += (outer + start).tolist()
        if len(commas) > enough:
            return commas
        depth, quotes = int(depths[-1]), int(parity[-1] & 1)
    if depth or quotes:
        raise InvalidJson("not JSON: a string, an array or an object does not end")
    return commas
