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
    place = 0
    while True:
        place = _NOTHING.match(shown, place).end()  # type: ignore[union-attr]
        if place == len(shown):
            return False
        if unicodedata.category(shown[place]) not in _MARKS:
            return True
        place += 1
