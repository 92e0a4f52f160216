"""Scans JSON before it is parsed, at the speed of memory: it tells how deep the JSON is nested, and
replaces escaped surrogates that belong to no pair.

It takes any bytes, never raises, and needs memory for a small multiple of them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_BLOCK_BYTES: Final = 65_536  # stays in a processor's cache
_QUOTE, _BACKSLASH = b'"\\'
_STEPS: Final = np.zeros(256, np.int8)  # by byte: how much deeper it leads
_STEPS[list(b"[{")] = 1
_STEPS[list(b"]}")] = -1
_REST: Final = bytes(set(range(256)) - set(b'"[]{}'))
_UNREAD: Final = b"\0\0"  # in place of an escaped backslash; as long

_ESCAPE_BYTES: Final = len(b"\\ud800")
_REPLACEMENT: Final = np.frombuffer(b"\\ufffd", np.uint8)
_DIGIT_OF_HALF: Final = 3  # says which of a pair it is


def _one_of(characters: str) -> NDArray[np.bool_]:
    """Return for each byte whether it is one of the characters, in upper or lower case."""
    accepted = np.zeros(256, np.bool_)
    accepted[list((characters.lower() + characters.upper()).encode())] = True
    return accepted


_HIGH: Final = _one_of("89ab")
_DIGITS: Final = _one_of("0123456789abcdef")
_U: Final = np.arange(256) == ord("u")  # which has one case only
# What stands behind the backslash.
_SURROGATE: Final = (_U, _one_of("d"), _one_of("89abcdef"), _DIGITS, _DIGITS)


def is_nested_deeper(value: bytes, limit: int) -> bool:
    """Say whether more than `limit` brackets and braces outside of strings are open at one
    place."""
    # One that is nested so deep has as many of them; splitting stops there, and few have as many.
    if len(value.split(b"[", limit + 1)) + len(value.split(b"{", limit + 1)) - 2 <= limit:
        return False
    plain = value.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in value else value
    marks = np.frombuffer(plain.translate(None, _REST), np.uint8)
    depth = quotes = 0
    for start in range(0, len(marks), _BLOCK_BYTES):
        block = marks[start : start + _BLOCK_BYTES]
        # Bytes overflow, but a parity does not care.
        parity = np.cumsum(block == _QUOTE, dtype=np.uint8) + np.uint8(quotes)
        depths = np.cumsum(_STEPS[block] * (parity & 1 == 0), dtype=np.int32) + depth
        if depths.max() > limit:
            return True
        depth, quotes = int(depths[-1]), int(parity[-1] & 1)
    return False


def without_lone_surrogates(value: bytes) -> bytes:
    """Return the text with an escaped U+FFFD in place of each escaped surrogate without a partner,
    so that every string has a UTF-8 form. Both escapes have one length, so nothing moves."""
    if b"\\ud" not in value and b"\\uD" not in value:
        return value
    read = np.frombuffer(value.replace(b"\\\\", _UNREAD), np.uint8)
    starts = np.flatnonzero(read[: 1 - _ESCAPE_BYTES] == _BACKSLASH)
    for at, accepted in enumerate(_SURROGATE, 1):  # fewer and fewer
        starts = starts[accepted[read[starts + at]]]
    is_high = _HIGH[read[starts + _DIGIT_OF_HALF]]
    highs, lows = starts[is_high], starts[~is_high]
    return _replaced(
        value,
        highs[~_contains(lows, highs + _ESCAPE_BYTES)],
        lows[~_contains(highs, lows - _ESCAPE_BYTES)],
    )


def _contains(sorted_places: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return for each wanted place whether it is among the places."""
    if not len(sorted_places):
        return np.zeros(len(wanted), np.bool_)
    at = np.searchsorted(sorted_places, wanted)
    return np.asarray(sorted_places[np.minimum(at, len(sorted_places) - 1)] == wanted)


def _replaced(value: bytes, *places: NDArray[np.int64]) -> bytes:
    found = np.frombuffer(value, np.uint8).copy()
    for starts in places:
        for at, byte in enumerate(_REPLACEMENT):
            found[starts + at] = byte
    return found.tobytes()
