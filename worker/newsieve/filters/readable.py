"""Tells whether a text has anything to read, for people and for a student alike.

White space, invisible characters, combining marks that stand on nothing, and markup around nothing
but those are no text: `<p></p>`, `<br/>`, `&nbsp;`, comments, scripts. A single visible character
is one, as is a `<` that begins no tag. What has a text renders to one; linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from newsieve.filters.folding import INVISIBLE
from newsieve.filters.markup import plain_text

_NOTHING: Final = re.compile(rf"[\s\u2800{INVISIBLE}]*+")
_MARKS: Final = frozenset({"Mn", "Me"})


def has_text(text: str) -> bool:
    """Say whether anything in the text can be read."""
    first = text[:1]
    if first.isascii() and first.isalnum():
        return True
    shown = plain_text(text)
    place, end = 0, len(shown)
    while True:
        place = seen = _NOTHING.match(shown, place).end()  # type: ignore[union-attr]
        while place < end and unicodedata.category(shown[place]) in _MARKS:
            place += 1
        if place == end:
            return False
        if place == seen:
            return True
