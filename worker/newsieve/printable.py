"""What others wrote, as it is shown wherever a terminal may read it. Errors about students and
filters, which are also logged, come escaped already: `newsieve.filters.shown`. Pure.

Control characters drive terminals, and invisible ones (directions, tags, marks) make text look like
another: each is shown as JSON writes it. Spaces of every width and letters of every script stay as
they are, and so do the two joiners that Persian, Indic scripts and emoji are written with.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_JOINERS: Final = "\u200c\u200d"
_REPLACEMENT: Final = "?"  # of a lone surrogate, which has no UTF-8 form


def printable(text: str) -> str:
    """One line: what would end it is shown, too."""
    if text.isprintable():
        return text
    return text.translate({ord(c): _shown(c) for c in set(text) if not c.isprintable()})


def printable_lines(text: str) -> str:
    """The same, of several lines that are ours."""
    return "\n".join(map(printable, text.split("\n")))


def _shown(character: str) -> str:
    if character in _JOINERS:
        return character
    match unicodedata.category(character):
        case "Zs":
            return character
        case "Cs":
            return _REPLACEMENT
        case _:
            units = character.encode("utf-16-be").hex(" ", 2)
            return "".join(f"\\u{unit}" for unit in units.split())
