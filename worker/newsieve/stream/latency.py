"""Decides which record timestamps can be true: no other enters a latency. Pure.

A raw record's timestamp is whatever its producer wrote: microseconds, seconds, a clock that is an
hour ahead. One such record would move a latency's sum by decades.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

EARLIEST_MILLISECONDS: Final = 946_684_800_000  # 2000-01-01: earlier is seconds, or no time at all
AHEAD_MILLISECONDS: Final = 5 * 60 * 1_000  # that clocks differ by; an hour is a wrong time zone


def latencies_seconds(timestamps_ms: npt.ArrayLike, now_ms: float) -> npt.NDArray[np.float64]:
    """The seconds since those timestamps that can be true; 0 where a clock is a little ahead of
    ours."""
    stamps = np.asarray(timestamps_ms, dtype=np.float64)
    true = stamps[(stamps >= EARLIEST_MILLISECONDS) & (stamps <= now_ms + AHEAD_MILLISECONDS)]
    return np.maximum((now_ms - true) / 1_000, 0.0)
