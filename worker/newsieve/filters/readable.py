"""Tells whether a text has anything to read, for people and for a student alike.

White space, invisible characters, combining marks that stand on nothing, and markup around nothing
but those are no text: `<p></p>`, `<br/>`, `&nbsp;`, comments, scripts. A single visible character
is one, as is a `<` that begins no tag. Takes no markup away; linear in the text.
"""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache
from typing import Final

from newsieve.filters.folding import INVISIBLE

# What does not end hides the rest, as in a browser. Each of the two matches wherever it begins, so
# that no text is looked through twice.
_COMMENT: Final = r"<!--(?:[^-]++|-(?!->))*+(?:-->)?+"
_UNSEEN: Final = "|".join(
    rf"<{name}\b(?:[^<]++|<(?!/{name}))*+(?:</{name}[^>]*+>?+)?+" for name in ("script", "style")
)
_TAG: Final = r"""<[a-z/!?](?:[^<>"']++|"[^"]*+"|'[^']*+')*+>"""
_NOTHING: Final = re.compile(
    rf"(?:[\s\u2800{INVISIBLE}]++|{_COMMENT}|{_UNSEEN}|{_TAG}|&nbsp;)*+", re.IGNORECASE
)
_ENTITY: Final = re.compile(r"&#?\w{1,32};?")
_ENTITIES_KEPT: Final = 256  # there are some fifty spellings of nothing
_MARKS: Final = frozenset({"Mn", "Me"})
# Entities and marks are looked at one by one. More of them with nothing between count as a text: to
# be sure would cost more than to score it.
MAX_LOOKED_AT: Final = 1_000


def has_text(text: str) -> bool:
    """Whether anything in the text can be read. Looks no further than the first character that
    can."""
    first = text[:1]
    if first.isascii() and first.isalnum():
        return True
    place = 0
    for _ in range(MAX_LOOKED_AT):
        place = _NOTHING.match(text, place).end()  # type: ignore[union-attr]
        if place == len(text):
            return False
        entity = _ENTITY.match(text, place)
        if entity is not None and _stands_for_nothing(entity[0]):
            place = entity.end()
        elif _is_mark(text[place]):
            place += 1
        else:
            return True
    return True


@lru_cache(_ENTITIES_KEPT)
def _stands_for_nothing(entity: str) -> bool:
    meant = html.unescape(entity)
    return meant != entity and all(
        _is_mark(character) or _NOTHING.fullmatch(character) for character in meant
    )


def _is_mark(character: str) -> bool:
    return unicodedata.category(character) in _MARKS
