"""All monitors of a filter: each label goes to the monitor of its student and stratum, and counts
once.

The same code serves files and live streams. They differ in how many labels are remembered, so the
deduplicator is given.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Final

from newsieve.drift.dedup import LabelDeduplicator
from newsieve.drift.error_streams import ErrorStreams
from newsieve.drift.label_reader import MONITOR, REFERENCE, Label
from newsieve.drift.monitor_state import Identity, MonitorConfig, Transition
from newsieve.drift.stratum_monitor import StratumMonitor
from newsieve.drift.suspect_labels import SuspectLabels
from newsieve.filters.sampling import SUSPECT

ANY_STUDENT: Final = None  # its baseline serves every student that has none of its own


class MonitorRegistry:
    """The monitors of one filter, by identity."""

    def __init__(
        self,
        filter_name: str,
        streams: ErrorStreams,
        config: MonitorConfig,
        deduplicator: LabelDeduplicator,
    ) -> None:
        self.by_identity: dict[Identity, StratumMonitor] = {}
        self.unused = 0  # reference rows that came after a label, or from another oracle
        self.untested = 0  # labels of monitors without a baseline
        self.suspects = SuspectLabels()
        self._filter = filter_name
        self._streams = streams
        self._config = config
        self._deduplicator = deduplicator
        self._baselines: dict[tuple[str | None, str], StratumMonitor] = {}

    def expect(self, student_version: str | None, rows: Iterable[Label]) -> None:
        """Add reference rows for those of a student's monitors that have none by their first
        label."""
        for row in rows:
            key = (student_version, row.stratum)
            if key not in self._baselines:
                identity = Identity(self._filter, student_version or "", row.stratum)
                self._baselines[key] = self.new(identity)
            unknown = row._replace(oracle_key=row.oracle_key or None)
            if not self._baselines[key].reference(unknown):
                self.unused += 1

    def label(self, label: Label) -> Transition | None:
        """Test a label or add a reference row; the label of a suspect article is only counted."""
        if label.stratum == SUSPECT and label.purpose == MONITOR:
            self.suspects.add(label)
            return None
        if label.id is not None and not self._deduplicator.add(label):
            return None
        identity = Identity(self._filter, label.student_version, label.stratum)
        monitor = self.by_identity.get(identity)
        if monitor is None:
            monitor = self.new(identity)
            self.by_identity[identity] = monitor
        if label.purpose == REFERENCE:
            self.unused += not monitor.reference(label)
            return None
        if not monitor.state.has_begun:
            self._give_baseline(monitor)
        step = monitor.label(label)
        self.untested += monitor.is_without_baseline
        return step

    def in_order(self) -> list[tuple[Identity, StratumMonitor]]:
        """Return all monitors in an order that does not depend on when they were made or
        restored."""
        return sorted(self.by_identity.items(), key=itemgetter(0))

    def suspending_oracles(self) -> set[str | None]:
        """Return the keys of the oracles that have suspended a monitor and wait for a decision."""
        return {monitor.state.other_oracle_key for monitor in self.by_identity.values()}

    def is_replaced(self, monitor: StratumMonitor, now: int) -> bool:
        """Return whether another student is labelled in the monitor's stratum, and the last label
        of the monitor's own student is as old as silence may be."""
        last, silence = monitor.state.last_label_at, self._config.silence
        if silence is None or last is None or now - last < silence:
            return False
        stratum = monitor.identity.stratum
        return any(
            other.identity.stratum == stratum and (other.state.last_label_at or 0) > last
            for other in self.by_identity.values()
        )

    def new(self, identity: Identity) -> StratumMonitor:
        return StratumMonitor(identity, self._streams, self._config)

    def _give_baseline(self, monitor: StratumMonitor) -> None:
        version, stratum = monitor.identity.student_version, monitor.identity.stratum
        for key in ((version, stratum), (ANY_STUDENT, stratum)):
            if key in self._baselines:
                monitor.adopt(self._baselines[key])
                return
