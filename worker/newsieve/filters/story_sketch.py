"""Says whether two texts are copies of one story: a sketch of each text, and what makes them alike.

One-permutation hashing (Li, Owen, Zhang 2012) with rotation (Shrivastava, Li 2014): each run of
three words is hashed, the hashes are divided over bins, and a bin keeps its least; an empty bin
takes what the next full one keeps. The share of bins that two sketches have in common estimates
the Jaccard similarity of their runs. It knows no window and no database.
"""

from __future__ import annotations

import re
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

BIN_BITS: Final = 6
BINS: Final = 1 << BIN_BITS
ALIKE_BINS: Final = 39  # of 64: six of ten runs, a copy with a new heading or an edited end
ROWS_OF_A_BAND: Final = 2
BANDS: Final = 10  # texts that are alike by 0.65 share one in 99 of 100 cases
SKETCH_BYTES: Final = 2 * BINS
MOST_WORDS: Final = 1_000  # what follows says nothing new about which story it is
RUN_WORDS: Final = 3
MOST_CHARACTERS: Final = 20 * MOST_WORDS  # those that hold so many words in most languages
FEWEST_WORDS: Final = 24  # shorter texts are copies only if they have the same words
# A run with a number counts so many times more: what tells two days' weather apart is its numbers.
NUMBER_WEIGHT: Final = 2

Hashes = npt.NDArray[np.uint64]

# Thai, Lao, Myanmar, Khmer; kana, CJK ideographs with their extensions. Hangul has spaces.
_UNSPACED: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD: Final = re.compile(
    f"[{_UNSPACED}\U00020000-\U0003ffff]|[^\\W{_UNSPACED}\U00020000-\U0003ffff]+"
)
# As the pattern, only faster: whatever is in no word becomes a space.
_WORDS_OF_ASCII: Final = bytes(
    ord(" ") if _WORD.fullmatch(chr(code)) is None else code for code in range(256)
)
_MULTIPLIERS: Final = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64
)
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_HALF: Final = np.uint64(32)
_LESS: Final = np.uint64(29)
_ONE: Final = np.uint64(1)
_EMPTY: Final = np.iinfo(np.uint64).max
_BINS: Final = np.arange(BINS)


def sketch(text: str) -> bytes:
    """Return the sketch of a rendered text: its bins, little-endian uint16. Letter case, marks and
    spaces make no difference."""
    words = _words(text)
    hashes = np.fromiter(map(crc32, words), np.uint64, len(words))
    if len(words) < FEWEST_WORDS:
        runs = np.array([crc32(b" ".join(words))], dtype=np.uint64)
    else:
        count = len(words) - RUN_WORDS + 1
        runs = np.zeros(count, dtype=np.uint64)
        for place, multiplier in enumerate(_MULTIPLIERS):
            runs += (hashes[place : place + count] + _ONE) * multiplier
        runs = np.concatenate([runs, *_weighted(runs[_with_number(words)])])
    return _least(_mixed(runs)).tobytes()


def bands(bins: bytes) -> list[int]:
    """Return the keys by which texts that may be alike are looked up: they share one at least."""
    used = np.frombuffer(bins, dtype="<u2", count=BANDS * ROWS_OF_A_BAND)
    rows = used.astype(np.uint64).reshape(BANDS, ROWS_OF_A_BAND)
    places = np.arange(BANDS, dtype=np.uint64)
    keys = _mixed((rows[:, 0] << np.uint64(16)) + rows[:, 1] + (places << _HALF))
    return [int(key) for key in keys >> _ONE]


def are_alike(one: bytes, other: bytes) -> bool:
    """Return whether two texts with these sketches are copies of one story."""
    return common_bins(one, other) >= ALIKE_BINS


def common_bins(one: bytes, other: bytes) -> int:
    """Return how many bins of two sketches are the same."""
    bins = np.frombuffer(one, dtype="<u2"), np.frombuffer(other, dtype="<u2")
    return int(np.count_nonzero(bins[0] == bins[1]))


def _words(text: str) -> list[bytes]:
    """Return the text's first words; each character of a script without spaces is one."""
    lower = text[:MOST_CHARACTERS].lower()
    if lower.isascii():
        return lower.encode().translate(_WORDS_OF_ASCII).split()[:MOST_WORDS]
    words = _WORD.findall(lower)[:MOST_WORDS]
    return " ".join(words).encode("utf-8", "replace").split()


def _with_number(words: list[bytes]) -> npt.NDArray[np.bool_]:
    """Return for each run whether one of its words begins with a digit."""
    numbers = np.fromiter((word < b":" for word in words), np.bool_, len(words))
    count = len(words) - RUN_WORDS + 1
    found = numbers[:count].copy()
    for place in range(1, RUN_WORDS):
        found |= numbers[place : place + count]
    return found


def _weighted(runs: Hashes) -> list[Hashes]:
    """Return further hashes of these runs, for as many times as they count more."""
    return [_mixed(runs + np.uint64(time)) for time in range(1, NUMBER_WEIGHT + 1)]


def _mixed(values: Hashes) -> Hashes:
    """Return values whose high bits depend on all bits of what they were."""
    values = (values ^ (values >> _LESS)) * _MIX
    return values ^ (values >> _HALF)


def _least(runs: Hashes) -> npt.NDArray[np.uint16]:
    """Return what each bin keeps of these hashes, of which there is one at least."""
    least = np.full(BINS, _EMPTY, dtype=np.uint64)
    runs = runs * _MULTIPLIERS[1]
    np.minimum.at(least, (runs >> np.uint64(64 - BIN_BITS)).astype(np.intp), runs)
    full = np.flatnonzero(least != _EMPTY)
    source = full[np.searchsorted(full, _BINS) % len(full)]
    distance = ((source - _BINS) % BINS).astype(np.uint64)
    return _mixed(least[source] + distance).astype("<u2")
