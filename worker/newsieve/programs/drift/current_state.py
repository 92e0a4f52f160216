"""What is known of drift monitors from outside: their stored state, and whether one is at work.

It does not know how that was found out, nor what is shown of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from newsieve.drift.monitor_state import Identity
from newsieve.programs.drift.session import MonitoredFilter


class CurrentState(NamedTuple):
    """The monitors as the state topic has them, by filter, and when each snapshot was written, in
    milliseconds by the clock of its writer or broker."""

    monitored: Mapping[str, MonitoredFilter]
    written_at: Mapping[Identity, int | None]

    def last_written_at(self, filter_name: str) -> int | None:
        """Return when the latest snapshot of a filter was written, None where there is none."""
        mine = (
            written_ms for item, written_ms in self.written_at.items() if item.filter == filter_name
        )
        return max((written_ms for written_ms in mine if written_ms is not None), default=None)


class MonitorGroup(NamedTuple):
    """The members of the drift monitors' consumer group, as the broker sees it."""

    name: str
    at_work: bool | None  # None: not known
    standing_by: int  # of this stream's monitors
    why_not_known: str = ""
