"""Makes values of feeds fit: texts that UTF-8 can say, dates in ISO 8601, absolute addresses. Pure.

What is no such value is None: it is the feed's fault, and no reason to lose the item.
"""

from __future__ import annotations

import calendar
import datetime as dt
import time
from collections.abc import Iterable
from typing import Final
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser

from newsieve_schemas.article import (
    MAX_LANGUAGE_CHARACTERS,
    MAX_TAG_CHARACTERS,
    MAX_TAGS,
    MAX_TITLE_CHARACTERS,
    MAX_URL_CHARACTERS,
)

SECONDS_OF: Final = {
    "hourly": 3_600,
    "daily": 86_400,
    "weekly": 604_800,
    "monthly": 2_592_000,
    "yearly": 31_536_000,
}
MINUTE_SECONDS: Final = 60
MAX_DIGITS: Final = 6  # of a ttl or a frequency


def text_of(value: object) -> str | None:
    """Return a text without lone surrogates, or None for what is blank or no text."""
    if not isinstance(value, str) or not value or value.isspace():
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace").decode()
    return value


def title_of(value: object, *, is_html: bool) -> str | None:
    """Return a title as one line of plain text."""
    text = text_of(value)
    if text is None:
        return None
    if is_html and ("<" in text or "&" in text):
        # Cut before, too: markup can be a thousand times longer than what it shows.
        root = LexborHTMLParser(text[: 10 * MAX_TITLE_CHARACTERS]).body
        text = root.text() if root is not None else ""
    return text_of(" ".join(text.split())[:MAX_TITLE_CHARACTERS])


def absolute_url(value: object, base: str) -> str | None:
    """Return an address of the web, or None."""
    text = text_of(value)
    if text is None:
        return None
    try:
        url = urljoin(base, text.strip())
    except ValueError:
        return None
    if not url.lower().startswith(("http://", "https://")) or len(url) > MAX_URL_CHARACTERS:
        return None
    return url


def language_of(*values: object) -> str | None:
    """Return the first that is a language."""
    for value in values:
        text = text_of(value)
        if text is not None and len(text) <= MAX_LANGUAGE_CHARACTERS:
            return text.strip()
    return None


def tags_of(values: Iterable[object]) -> tuple[str, ...]:
    """Return the tags that a raw article may have, each once."""
    tags: dict[str, None] = {}
    for value in values:
        text = text_of(value)
        if text is not None and len(text) <= MAX_TAG_CHARACTERS:
            tags[text.strip()] = None
        if len(tags) == MAX_TAGS:
            break
    return tuple(tags)


def date_of_struct(value: object) -> str | None:
    """Return a date that feedparser read, in UTC."""
    if not isinstance(value, time.struct_time):
        return None
    try:
        return iso(dt.datetime.fromtimestamp(calendar.timegm(value), dt.UTC))
    except (ValueError, OverflowError, OSError):
        return None


def date_of_text(value: object) -> str | None:
    """Return a date of RFC 3339 in UTC; one without a time zone is taken for UTC."""
    if not isinstance(value, str):
        return None
    try:
        date = dt.datetime.fromisoformat(value.strip())
        zoned = date if date.tzinfo is not None else date.replace(tzinfo=dt.UTC)
        return iso(zoned.astimezone(dt.UTC))
    except (ValueError, OverflowError):
        return None


def iso(moment: dt.datetime) -> str:
    """Return a moment of UTC as records have it."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def interval_of(ttl: object, period: object, frequency: object) -> int | None:
    """Return the seconds between a feed's changes: its ttl in minutes, or else what RSS's module
    for syndication says, so many times in a period."""
    minutes = _whole(ttl)
    if minutes:
        return minutes * MINUTE_SECONDS
    if not isinstance(period, str):
        return None
    seconds = SECONDS_OF.get(period.strip().lower())
    return None if seconds is None else seconds // (_whole(frequency) or 1)


def _whole(value: object) -> int | None:
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else None
