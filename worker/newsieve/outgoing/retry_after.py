"""Reads how long a server asks to wait, from the header Retry-After. Pure.

Whether it is waited for is its reader's decision.
"""

from __future__ import annotations

import email.utils


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds of a Retry-After header: a number or an HTTP date (RFC 9110, section
    10.2.3)."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return float(value)
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - now, 0.0)
    except (ValueError, OverflowError):
        return None
