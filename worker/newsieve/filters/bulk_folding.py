"""Folds texts with much to fold, as arrays of code points: some nanoseconds a character, whatever
the characters are.

The caller says what each character becomes. Blocks keep the memory small.
"""

from __future__ import annotations

import sys
import unicodedata
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.uint32]
ALL_POINTS: Final = sys.maxunicode + 1
NOTHING: Final = 0xFFFFFFFF  # no code point
_BLANK: Final = ord(" ")
_BREAK: Final = ord("\n")  # no folded text has one
_BLOCK_POINTS: Final = 65_536
_CODE_POINTS: Final = "utf-32-le" if sys.byteorder == "little" else "utf-32-be"
# Jamo compose by rule, without being in the tables: vowels and final consonants.
_FOLLOWING_JAMO: Final = (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))
_LAST_FOLLOWER: Final = 0x1E94A


def fold_many(text: str, spellings: Points, most_marks: int) -> str:
    """Return the folded text.

    `spellings` has a column for each code point: those that take its place, then NOTHING. No more
    than `most_marks` combining marks stay in a row.
    """
    points = points_of(text)
    blocks = [
        _spelled(points[start : start + _BLOCK_POINTS], spellings)
        for start in range(0, max(len(points), 1), _BLOCK_POINTS)
    ]
    points = _composed(_without_long_runs(np.concatenate(blocks), most_marks))
    is_blank = points == _BLANK
    is_blank[1:] &= is_blank[:-1].copy()
    is_blank[:1] = False
    return text_of(points[~is_blank])


def points_of(text: str) -> Points:
    """Return the code points of a text, lone surrogates included."""
    return np.frombuffer(text.encode(_CODE_POINTS, errors="surrogatepass"), np.uint32)


def text_of(points: Points) -> str:
    """Return the text of these code points."""
    return points.tobytes().decode(_CODE_POINTS, errors="surrogatepass")


def _spelled(points: Points, spellings: Points) -> Points:
    spelled: Points = spellings[0][points]
    if (spellings[1][points] != NOTHING).any():
        spelled = spellings[:, points].T
    kept: Points = spelled[spelled != NOTHING]
    return kept


def _without_long_runs(points: Points, most_marks: int) -> Points:
    """Drop the marks that stand behind as many marks as may be in a row."""
    is_last = _kinds()[0][points]  # of a run of one; then of longer and longer runs
    length = 1
    while length <= most_marks:
        step = min(length, most_marks + 1 - length)
        before = is_last
        is_last = before.copy()
        is_last[step:] &= before[:-step]
        is_last[:step] = False
        length += step
    return points[~is_last]


def _composed(points: Points) -> Points:
    """Compose characters that are in NFC by themselves. Only those that compose with others are
    normalised, each with its followers on a line of its own: the rest stays, at no cost."""
    is_follower = _kinds()[1][points]
    if not is_follower.any():
        return points
    inside = is_follower.copy()
    inside[:-1] |= is_follower[1:]
    if 2 * np.count_nonzero(inside) > len(points):
        return points_of(unicodedata.normalize("NFC", text_of(points)))
    begins = inside & ~is_follower
    begins[0] = inside[0]
    lines = np.insert(points[inside], np.flatnonzero(begins[inside]), _BREAK)
    lines = points_of(unicodedata.normalize("NFC", text_of(lines)))
    is_break = lines == _BREAK
    places = np.cumsum(~inside)[np.flatnonzero(begins)]
    line = np.cumsum(is_break)[~is_break] - 1
    return np.insert(points[~inside], places[line], lines[~is_break])


@cache
def _kinds() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return for each code point whether it combines, and whether it may compose or change places
    with what stands before it."""
    combines, follows = np.zeros(ALL_POINTS, np.bool_), np.zeros(ALL_POINTS, np.bool_)
    follows[list(_FOLLOWING_JAMO)] = True
    for point in range(_LAST_FOLLOWER + 1):
        combines[point] = unicodedata.combining(chr(point)) != 0
        first, _, second = unicodedata.decomposition(chr(point)).partition(" ")
        if second and not first.startswith("<"):
            follows[int(second, 16)] = True
    return combines, combines | follows
