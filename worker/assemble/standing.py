"""Where a drift monitor stands, for commands: what is on record, and whether one is at work.

Does not know what is shown of it, or decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from schemas.topics import CONTROL, DRIFT_STATE, topic_name
from worker.assemble.drift import Ground, watches
from worker.assemble.shared import cluster
from worker.course import Watched, resume
from worker.drift.alerts import fingerprint
from worker.drift.states import Identity
from worker.errors import AccessDenied, BrokerUnavailable
from worker.kafka.admin import group_members
from worker.kafka.recall import latest_records
from worker.settings import Settings


class OnRecord(NamedTuple):
    """What the state topic says, by filter, and when each snapshot was written, in milliseconds by
    the clock of its writer or broker."""

    watched: Mapping[str, Watched]
    written_at: Mapping[Identity, int | None]

    def last_written_at(self, filter_name: str) -> int | None:
        """The latest snapshot of a filter. None: there is none."""
        mine = (at for item, at in self.written_at.items() if item.filter == filter_name)
        return max((at for at in mine if at is not None), default=None)


def on_record(settings: Settings, found: Sequence[Ground]) -> OnRecord:
    """Raises BrokerUnavailable or TopicsWrong."""
    topic = topic_name(settings.kafka.topic_prefix, DRIFT_STATE)
    states = latest_records(cluster(settings), topic, None, _nobody_waits)
    watched = watches(settings, found)()
    taken_up = resume(watched, {key: record.value or b"" for key, record in states.items()})
    keys = {identity: fingerprint(identity).encode() for identity in taken_up}
    written = {item: states[key].timestamp_ms for item, key in keys.items() if key in states}
    return OnRecord(watched, written)


class MonitorGroup(NamedTuple):
    """Who of the monitor's group is there, as the broker sees it."""

    name: str
    at_work: bool | None  # None: not known
    standing_by: int  # of this stream's monitors
    why_not_known: str = ""


def monitor_group(settings: Settings) -> MonitorGroup:
    """Whether a monitor is at work: whoever was given the control topic's first partition."""
    name = settings.drift.group
    control = topic_name(settings.kafka.topic_prefix, CONTROL)
    try:
        members = group_members(cluster(settings), name)
    except (AccessDenied, BrokerUnavailable) as error:
        return MonitorGroup(name, None, 0, str(error))
    ours = [held for held in members if not held or control in {topic for topic, _ in held}]
    at_work = any((control, 0) in held for held in ours)
    return MonitorGroup(name, at_work, len(ours) - at_work)


def _nobody_waits() -> None:
    """A command has no watchdog."""
