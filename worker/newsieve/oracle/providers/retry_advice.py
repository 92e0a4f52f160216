"""Reads how long a provider asks to wait, from a header or from an error. Pure.

Whether it is waited for is the circuit breaker's decision.
"""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from typing import Any, Final

RETRY_INFO: Final = "google.rpc.RetryInfo"


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


def retry_info(body: Mapping[str, Any]) -> float | None:
    """Return the seconds of a google.rpc.RetryInfo among the error's details, such as "12.5s"."""
    error = body.get("error")
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else []:
        if isinstance(detail, dict) and str(detail.get("@type", "")).endswith(RETRY_INFO):
            delay = str(detail.get("retryDelay", "")).strip().removesuffix("s")
            if delay.isascii() and delay.replace(".", "", 1).isdigit():
                return float(delay)
    return None
