"""Escapes text that others wrote, for terminals, logs and error messages. Pure.

Control characters drive terminals, and invisible ones (directions, tags, marks) make text look like
another: each is shown as JSON writes it. Spaces of every width and letters of every script stay as
they are, and so do the two joiners that Persian, Indic scripts and emoji are written with.
"""

from __future__ import annotations

import unicodedata
from typing import Final

SHOWN_CHARACTERS: Final = 300  # of a path or another program's error; more is no sentence
_JOINERS: Final = "\u200c\u200d"
_REPLACEMENT: Final = "?"  # of a lone surrogate, which has no UTF-8 form


def printable(text: str) -> str:
    """Return the text with every character escaped that is not visible, line ends included."""
    if text.isprintable():
        return text
    return text.translate({ord(c): _shown(c) for c in set(text) if not c.isprintable()})


def printable_lines(text: str) -> str:
    """Return the text with each of its lines escaped, and the line ends kept."""
    return "\n".join(map(printable, text.split("\n")))


def one_line(text: str, characters: int = SHOWN_CHARACTERS) -> str:
    """Return the text for an error message: escaped, white space as single blanks, cut to size."""
    shown = printable(" ".join(text[:characters].split()))
    return shown[:characters] + ("…" if len(text) > characters or len(shown) > characters else "")


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
