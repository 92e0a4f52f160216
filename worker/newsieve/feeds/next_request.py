"""Decides when a feed is asked again: not before it may have changed, nor all at once. Pure.

What feeds and servers say makes newsieve ask less often, never more often. `skipHours` and
`skipDays` are not read: hardly a feed has them, and a question at night is answered by 304.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final, NamedTuple

from newsieve.outgoing.retry_after import retry_after

DAY_SECONDS: Final = 86_400.0
GONE_SECONDS: Final = 7 * DAY_SECONDS
SPREAD: Final = 0.1  # of the interval: what it is longer at most, so that feeds come apart
MAX_DOUBLINGS: Final = 20
MAX_AGE_DIGITS: Final = 9


class Intervals(NamedTuple):
    """Between two requests of one feed, in seconds."""

    least: float = 900.0
    most: float = DAY_SECONDS
    first_failure: float = 900.0  # twice as long with each further one, up to the most


def after_answer(
    intervals: Intervals, url: str, now: float, said: float | None, headers: Mapping[str, str]
) -> float:
    """Return the seconds until the next request after an answer. `said` is the document's."""
    wanted = max(said or 0.0, _max_age(headers), intervals.least)
    seconds = _spread(min(wanted, intervals.most / (1 + SPREAD)), url, now)
    return max(seconds, intervals.least)


def after_failure(
    intervals: Intervals, url: str, now: float, failures: int, wait: float | None
) -> float:
    """Return the seconds until the next request after so many failures in a row."""
    doublings = min(failures - 1, MAX_DOUBLINGS)
    backed_off = min(intervals.first_failure * 2.0**doublings, intervals.most / (1 + SPREAD))
    return max(_spread(backed_off, url, now), wait or 0.0)


def after_gone(url: str, now: float) -> float:
    """Return the seconds until a feed is asked again whose server has said that it is gone."""
    return _spread(GONE_SECONDS, url, now)


def asked_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Return how long a server wants no request, up to a day."""
    seconds = retry_after(headers.get("retry-after"), now)
    return None if seconds is None else min(seconds, DAY_SECONDS)


def _max_age(headers: Mapping[str, str]) -> float:
    """Return how long an answer stays fresh from now on."""
    for directive in headers.get("cache-control", "").lower().split(","):
        name, _, value = directive.strip().partition("=")
        if name == "max-age":
            return max(_seconds(value.strip('"')) - _seconds(headers.get("age", "")), 0.0)
    return 0.0


def _seconds(text: str) -> float:
    text = text.strip()
    is_number = text.isascii() and text.isdigit() and len(text) <= MAX_AGE_DIGITS
    return float(text) if is_number else 0.0


def _spread(seconds: float, url: str, now: float) -> float:
    """Return a time that is up to SPREAD longer, by the feed and the moment alone."""
    digest = blake2b(f"{url}\n{int(now)}".encode("utf-8", "replace"), digest_size=4).digest()
    return seconds * (1 + SPREAD * int.from_bytes(digest) / 2**32)
