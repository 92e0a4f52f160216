"""Turns the dates of raw records into text: ISO 8601 where they are understood.

It knows the forms that feeds use, and nothing of records.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from email.utils import parsedate_to_datetime
from typing import Final

# Numbers outside these are years, days, counters or a date's digits (20261101093000), not times:
# seconds from 1973 to 5138, and milliseconds to 2286.
FIRST_SECOND: Final = 100_000_000
FIRST_MILLISECOND: Final = 100_000_000_000
END_MILLISECOND: Final = 10_000_000_000_000
_DIGITS: Final = re.compile(r"[0-9]{9,14}")
_MONTH: Final = re.compile(r"[0-9]{4}(?:-[0-9]{2})?")  # ISO 8601 that Python does not read
_RFC_2822: Final = re.compile(
    r"\s*(?:[A-Za-z]{3,9},\s*)?[0-9]{1,2}\s+[A-Za-z]{3,9}\s+(?:[0-9]{2}|[1-9][0-9]{3})\s+"
    r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?:\s+([+-][0-9]{4}|[A-Za-z]{1,5}))?\s*"
)
_NO_ZONE: Final = "-0000"  # a time in UTC, which says nothing of where
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECONDS_OF_SECOND: Final = 1_000


def date_of_text(text: str) -> tuple[str, bool]:
    """Return the date as a record says it, and whether it is understood.

    ISO 8601 stays as it is, RFC 2822 and epoch digits become ISO 8601, and a text that is neither
    stays, too. In a blank one there is nothing to understand.
    """
    # First, since some digits are a date of ISO 8601 with a time, too.
    if text.isdigit() and _DIGITS.fullmatch(text):
        date = date_of_number(int(text))
        return (text, False) if date is None else (date, True)
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return _other_form(text)
    return text, True


def date_of_number(number: float) -> str | None:
    """Return ISO 8601 for epoch seconds or milliseconds; None for a number that is neither."""
    if not math.isfinite(number) or not FIRST_SECOND <= number < END_MILLISECOND:
        return None
    if number < FIRST_MILLISECOND:
        number *= _MILLISECONDS_OF_SECOND
    return _iso(_EPOCH + dt.timedelta(milliseconds=round(number)))


def _other_form(text: str) -> tuple[str, bool]:
    parts = _RFC_2822.fullmatch(text)
    if parts is None:
        return text, not text.strip() or _MONTH.fullmatch(text) is not None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a day, an hour or a zone that there is not
        return text, False
    if moment.tzinfo is None and parts[1] not in (None, _NO_ZONE):  # CEST, say: hours from UTC
        return text, False
    return _iso(moment), True


def _iso(moment: dt.datetime) -> str:
    """Return the moment in ISO 8601, in its own zone; in UTC where it has none."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
    has_part = bool(aware.microsecond)
    text = aware.isoformat(timespec="milliseconds" if has_part else "seconds")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text
