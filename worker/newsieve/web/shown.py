"""How fields of articles are shown, whatever stands in them: addresses, dates, long texts.

It knows no page.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

from newsieve.store.rows import milliseconds_of

MOST_CONTENT_CHARACTERS: Final = 300_000  # of a text on a page; more is sent as a file
DATE_CHARACTERS: Final = len("2026-11-25 13:51")
_ADDRESS: Final = re.compile(r"https?://[^\s/]", re.IGNORECASE)
_LANGUAGE: Final = re.compile(r"[a-z]{2}(-[A-Za-z]{2})?")
# Of ISO 639-1: what a screen reader takes for a language.
LANGUAGES: Final = (
    "af am ar az be bg bn bs ca cs cy da de el en eo es et eu fa fi fr ga gl gu ha he hi hr "
    "hu hy id ig is it ja jv ka kk km kn ko ku ky la lb lo lt lv mg mi mk ml mn mr ms mt my "
    "ne nl no ny or pa pl ps pt qu rm ro ru rw sd si sk sl sm sn so sq sr st su sv sw ta te "
    "tg th ti tk tl tn to tr tt ug uk ur uz vi wo xh yi yo zh zu"
)


def web_address(text: str) -> str | None:
    """Return an address that may be a link: one of http or https. Any other is none."""
    return text if _ADDRESS.match(text) else None


def shown_date(text: str) -> str:
    """Return a date for people, in UTC, and what is no date as it is, the beginning of it."""
    milliseconds = milliseconds_of(text)
    if milliseconds is None:
        return text[:DATE_CHARACTERS]
    moment = dt.datetime.fromtimestamp(milliseconds / 1_000, dt.UTC)
    return moment.isoformat(" ")[:DATE_CHARACTERS]


def clipped(text: str, characters: int) -> str:
    """Return a text cut to so many characters."""
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "…"


def spoken_language(language: str) -> str | None:
    """Return a language where it is one that screen readers know."""
    is_known = _LANGUAGE.fullmatch(language) and language[:2] in LANGUAGES.split()
    return language if is_known else None
