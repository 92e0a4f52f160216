"""The present state of drift monitors, for commands: what is on the state topic, and whether a
monitor is at work.

Does not know what is shown of it, or decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from newsieve.bootstrap.common import cluster
from newsieve.bootstrap.drift import FilterInputs, monitored_filters
from newsieve.drift.alerts import fingerprint
from newsieve.drift.monitor_state import Identity
from newsieve.errors import AccessDenied, BrokerUnavailable
from newsieve.kafka.admin import group_members
from newsieve.kafka.state_topic import latest_records
from newsieve.programs.drift.session import MonitoredFilter, resume
from newsieve.settings.loader import Settings
from newsieve_schemas.topics import CONTROL, DRIFT_STATE, topic_name


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


def load_current_state(settings: Settings, filters: Sequence[FilterInputs]) -> CurrentState:
    """Restore all filters' monitors from the state topic. Raises BrokerUnavailable or
    TopicsWrong."""
    topic = topic_name(settings.kafka.topic_prefix, DRIFT_STATE)
    states = latest_records(cluster(settings), topic, None, _no_heartbeat)
    monitored = monitored_filters(settings, filters)()
    taken_up = resume(monitored, {key: record.value or b"" for key, record in states.items()})
    keys = {identity: fingerprint(identity).encode() for identity in taken_up}
    written = {item: states[key].timestamp_ms for item, key in keys.items() if key in states}
    return CurrentState(monitored, written)


class MonitorGroup(NamedTuple):
    """The members of the drift monitors' consumer group, as the broker sees it."""

    name: str
    at_work: bool | None  # None: not known
    standing_by: int  # of this stream's monitors
    why_not_known: str = ""


def monitor_group(settings: Settings) -> MonitorGroup:
    """Return whether a monitor is at work: one that was given the control topic's first
    partition."""
    name = settings.drift.group
    control = topic_name(settings.kafka.topic_prefix, CONTROL)
    try:
        members = group_members(cluster(settings), name)
    except (AccessDenied, BrokerUnavailable) as error:
        return MonitorGroup(name, None, 0, str(error))
    ours = [held for held in members if not held or control in {topic for topic, _ in held}]
    at_work = any((control, 0) in held for held in ours)
    return MonitorGroup(name, at_work, len(ours) - at_work)


def _no_heartbeat() -> None:
    """Do nothing, since a command has no watchdog."""
