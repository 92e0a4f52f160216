"""Says whether two texts are copies of one story: a sketch of each, and what makes them alike.

One-permutation hashing (Li, Owen, Zhang 2012): each run of four words is hashed, the hashes are
divided over bins, and a bin keeps its least. The share of bins that two sketches have in common
estimates the Jaccard similarity of their runs. It knows no database.
"""

from __future__ import annotations

import re
from typing import Final
from zlib import crc32

import numpy as np

from newsieve.store.words import searchable

BINS: Final = 16
ALIKE_BINS: Final = 11  # of 16: about 0.7 of all runs, a copy with a new heading or an edited end
ROWS_OF_A_BAND: Final = 2
BANDS: Final = 4  # copies that are alike by 0.8 share one in 98 of 100 cases
MOST_WORDS: Final = 1_000  # what follows says nothing new about which story it is
RUN_WORDS: Final = 4
FEWEST_WORDS: Final = 24  # shorter texts are copies only if they have the same words

_WORDS: Final = re.compile(r"\w+")
_MULTIPLIERS: Final = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93],
    dtype=np.uint64,
)
_BAND_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)


def sketch(title: str | None, content: str | None) -> bytes:
    """Return the bins of a text, little-endian uint32. Letter case, marks and spaces make no
    difference."""
    text = f"{title or ''}\n{content or ''}".lower()
    words = _WORDS.findall(searchable(text))[:MOST_WORDS]
    hashes = np.array([crc32(word.encode("utf-8", "replace")) for word in words], dtype=np.uint64)
    if len(words) < FEWEST_WORDS:
        whole = np.uint32(crc32(" ".join(words).encode("utf-8", "replace")))
        return np.full(BINS, whole, dtype="<u4").tobytes()
    runs = np.zeros(len(words) - RUN_WORDS + 1, dtype=np.uint64)
    for place, multiplier in enumerate(_MULTIPLIERS):
        runs += (hashes[place : place + len(runs)] + np.uint64(1)) * multiplier
    runs ^= runs >> np.uint64(29)
    runs *= _BAND_MULTIPLIER
    least = np.full(BINS, np.iinfo(np.uint32).max, dtype="<u4")
    np.minimum.at(
        least, (runs >> np.uint64(60)).astype(np.intp), (runs >> np.uint64(28)).astype(np.uint32)
    )
    return least.tobytes()


def bands(bins: bytes) -> list[int]:
    """Return the keys by which texts that may be alike are looked up: they share one at least."""
    used = np.frombuffer(bins, dtype="<u4", count=BANDS * ROWS_OF_A_BAND)
    rows = used.astype(np.uint64).reshape(BANDS, ROWS_OF_A_BAND)
    places = np.arange(BANDS, dtype=np.uint64)
    keys = (rows[:, 0] * _BAND_MULTIPLIER + rows[:, 1] + places) * _MULTIPLIERS[1]
    return [int(key) for key in keys >> np.uint64(1)]


def are_alike(one: bytes, other: bytes) -> bool:
    """Return whether two texts with these bins are copies of one story."""
    bins = np.frombuffer(one, dtype="<u4"), np.frombuffer(other, dtype="<u4")
    return int(np.count_nonzero(bins[0] == bins[1])) >= ALIKE_BINS
