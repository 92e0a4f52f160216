"""The present state of drift monitors, for commands: what is on the state topic, and whether a
monitor is at work.

Does not know what is shown of it, or decided.
"""

from __future__ import annotations

from collections.abc import Sequence

from newsieve.bootstrap.common import cluster
from newsieve.bootstrap.drift import FilterInputs, monitored_filters
from newsieve.drift.alerts import fingerprint
from newsieve.errors import AccessDenied, BrokerUnavailable
from newsieve.kafka.admin import group_members
from newsieve.kafka.state_topic import latest_records
from newsieve.programs.drift.current_state import CurrentState, MonitorGroup
from newsieve.programs.drift.session import resume
from newsieve.settings.loader import Settings
from newsieve_schemas.topics import CONTROL, DRIFT_STATE, topic_name


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
