"""Folds text for comparing: one spelling for what a reader and a student take for the same.

Only content rules compare folded text. What is rendered, hashed, tokenised and published stays as
it came. Knows nothing of rules.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Final

import numpy as np

from newsieve.filters.bulk_folding import ALL_POINTS, NOTHING, Points, fold_many, points_of, text_of

# What this module does to a text is part of the hash of every filter that has rules.
FOLDING: Final = "nfkc-visible-blanks-quotes-hyphens/1"

# Ranges for a character class. Controls but white space, Unicode's default ignorable characters
# (soft hyphens, joiners, directions, variation selectors, fillers) and annotation anchors.
INVISIBLE: Final = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Ranges of characters that are their own fold, whatever stands beside them. Not all of them: what
# is missing costs time and nothing else.
_USUAL: Final = (
    " -~\u00a1-\u00a7\u00a9\u00ac\u00ae\u00b0\u00b1\u00b6\u00b7\u00bf-\u0131\u0134-\u013e"
    "\u0141-\u0148\u014a-\u017e\u0180-\u01c3\u01cd-\u01f0\u01f4-\u024f"
    "\u0386\u0388-\u03ce\u0400-\u0482\u048a-\u052f"  # Greek, Cyrillic
    "\u05d0-\u05ea\u0620-\u064a\u0660-\u0669\u0679-\u06d3"  # Hebrew, Arabic
    "\u1e00-\u1e99\u1e9c-\u1eff\u2014\u2020-\u2022\u2030\u20ac\u2190-\u2211\u2213-\u222b"
    "\u2231-\u22ff\u25a0-\u27bf"
    "\u3001\u3002\u3008-\u3011\u3041-\u3096\u30a1-\u30fe\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
    "\U0001f300-\U0001f64f\U0001f680-\U0001f6ff\U0001f900-\U0001faff"  # emoji
    # what no news has, but a text of every character: ideographs, private use, nothing yet
    "\ua000-\ua66e\ue000-\uf8ff\U00011d98-\U00016aef\U00017000-\U0001bc9d\U0001bca4-\U0001d15d"
    "\U00020000-\U0002f7ff\U00030000-\U000dffff\U000e1000-\U0010ffff"
)
# RE2 and re read it alike. A text without it is its own fold.
TO_FOLD: Final = f"[^{_USUAL}]|  "
# Text that nobody sees, in characters that folding takes away; RE2. Tag characters spell ASCII,
# variation selectors bytes. In the flags of England, Scotland and Wales up to six tags follow a
# black flag, and a selector stands alone behind what it varies: that is what both are for.
HIDDEN_TEXT: Final = (
    r"(?:^|[^\x{1f3f4}\x{e0000}-\x{e007f}])[\x{e0000}-\x{e007f}]"
    r"|[\x{e0000}-\x{e007f}]{7}|[\x{fe00}-\x{fe0f}\x{e0100}-\x{e01ef}]{2}"
)

_SINGLE_QUOTES: Final = "\u2018\u2019\u201a\u201b\u2032\u2035\u2039\u203a\u00b4\u02b9\u02bb\u02bc"
_DOUBLE_QUOTES: Final = "\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb\u301d\u301e\u301f"
# Those that join. The longer dashes part what stands around them, as a comma does.
_HYPHENS: Final = "\u2010\u2011\u2012\u2013\u2043\u2212\ufe63\uff0d\u058a\u05be"
_BRAILLE_BLANK: Final = "\u2800"
_SPELLINGS: Final = {
    **dict.fromkeys(_SINGLE_QUOTES, "'"),
    **dict.fromkeys(_DOUBLE_QUOTES, '"'),
    **dict.fromkeys(_HYPHENS, "-"),
    _BRAILLE_BLANK: " ",
}
# Of the characters that change, what news is full of; the others take the longer way.
_FREQUENT: Final = (
    *((quote, _SPELLINGS[quote]) for quote in "\u2019\u2018\u201c\u201d\u201e\u201a\u00ab\u00bb"),
    ("\u2013", "-"),
    ("\u2212", "-"),
    ("\u2026", "..."),
    ("\u00a0", " "),
    ("\u00ad", ""),
    ("\ufe0f", ""),  # behind many an emoji
)
# A ligature of 18 letters would make a hostile text 18 times as long. No rule reads such.
MAX_CHARACTERS_OF_ONE: Final = 4
# Unicode's stream-safe format allows as many. To order more costs the square of their number.
MAX_MARKS_IN_A_ROW: Final = 30

_PARAGRAPH: Final = "\n\n"
_CHANGING: Final = re.compile(f"[^{_USUAL}]")
_INVISIBLE: Final = re.compile(f"[{INVISIBLE}]")
_PRINTABLE: Final = bytes(range(0x20, 0x7F))  # of ASCII: most of a text, and its own fold
_TWO_BLANKS: Final = "  "
_SPELLINGS_KEPT: Final = 1_000  # news has some hundred
# More of them are looked up one by one, which does not depend on how many there are.
_MOST_REPLACED: Final = 20
# With more than so many bytes beside ASCII's letters, arrays are faster than strings.
_MANY_BYTES: Final = 2_000


def fold(text: str) -> str:
    """Return the text without invisible characters, in NFKC, with single blanks for white space and
    with one kind of quotes and hyphens. Linear in the text."""
    text = partly_folded(text)
    unusual = text.encode(errors="surrogatepass").translate(None, _PRINTABLE)
    if len(unusual) > _MANY_BYTES:
        return fold_many(text, _spellings(), MAX_MARKS_IN_A_ROW)
    changing = set(_CHANGING.findall(unusual.decode(errors="surrogatepass")))
    if changing:
        spelled = {character: fold_character(character) for character in changing}
        text = _respelled(text, spelled)
        marks = set(filter(unicodedata.combining, "".join(spelled.values())))
        if sum(map(text.count, marks)) > MAX_MARKS_IN_A_ROW:
            return fold_many(text, _spellings(), MAX_MARKS_IN_A_ROW)
        text = unicodedata.normalize("NFC", text)
    while _TWO_BLANKS in text:
        text = text.replace(_TWO_BLANKS, " ")
    return text


def partly_folded(text: str) -> str:
    """Return the text with frequent characters folded, at low cost: all of it, if TO_FOLD does not
    match it then."""
    if not text.isascii():
        for frequent, spelling in _FREQUENT:
            if frequent in text:  # in half the time of a replacement that finds nothing
                text = text.replace(frequent, spelling)
    text = text.replace(_PARAGRAPH, " ", 1)  # behind the title; a text of one paragraph has no more
    return text.replace(_PARAGRAPH, " ").replace("\n", " ") if "\n" in text else text


@lru_cache(_SPELLINGS_KEPT)
def fold_character(character: str) -> str:
    """One character by itself; what only composes with others stays."""
    if _INVISIBLE.match(character):
        return ""
    if character.isspace():
        return " "
    known = _SPELLINGS.get(character)
    if known is not None:
        return known
    compatible = unicodedata.normalize("NFKC", character)
    if len(compatible) > MAX_CHARACTERS_OF_ONE:
        return character
    return "".join(_SPELLINGS.get(each, each) for each in compatible)


def _respelled(text: str, spelled: Mapping[str, str]) -> str:
    changes = {old: new for old, new in spelled.items() if new != old}
    if len(changes) > _MOST_REPLACED:
        return text.translate({ord(old): new for old, new in changes.items()})
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


@cache
def _spellings() -> Points:
    """Return what each code point is folded to, for `fold_many`."""
    spellings = np.full((MAX_CHARACTERS_OF_ONE, ALL_POINTS), NOTHING, np.uint32)
    spellings[0] = np.arange(ALL_POINTS)
    for character in _CHANGING.findall(text_of(spellings[0])):
        spelling = points_of(fold_character(character))
        spellings[:, ord(character)] = NOTHING
        spellings[: len(spelling), ord(character)] = spelling
    return spellings
