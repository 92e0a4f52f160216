"""Reads how long a provider asks to wait, from an error in its answer. Pure.

Whether it is waited for is the circuit breaker's decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

RETRY_INFO: Final = "google.rpc.RetryInfo"


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
