"""What a filter's alarms are attributed by: anchors, canaries, and the window in which they answer.

Decides which anchors the oracle is to label again, and what the cause of a waiting alarm is. Knows
neither how an alarm comes about nor what becomes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from newsieve.drift.anchors import AnchorDifference, Anchors, AnchorSet
from newsieve.drift.cause_attribution import AttributionWindow, CauseSigns, cause_of_alarm
from newsieve.drift.condition_alert import CANARIES, CanaryResult, ConditionAlert
from newsieve.drift.error_streams import ErrorStreams
from newsieve.drift.label_reader import AnchorLabel
from newsieve.drift.monitor_state import ConditionPart, Transition
from newsieve.drift.score_distribution import ScoreDistributionMonitor
from newsieve.drift.stratum_monitor import StratumMonitor
from newsieve_schemas.drift import Cause

MOVED_MILLISECONDS: Final = 2 * 60 * 60 * 1_000  # canaries are reported hourly, by every worker


class AlarmAttribution:
    """Attributes the alarms of one filter's monitors to a cause.

    `wanted` has the ids of the anchors to be labelled next; whoever requests their labels clears
    it.
    """

    def __init__(
        self,
        filter_name: str,
        streams: ErrorStreams,
        anchors: AnchorSet | None,
        reminder: int | None,
    ) -> None:
        self.wanted: list[str] = []
        self.canaries = ConditionAlert(filter_name, CANARIES, reminder)
        self.anchors = None if anchors is None else Anchors(filter_name, streams, anchors, reminder)
        self._window = AttributionWindow(self.anchors.size if self.anchors else 0)
        self._moved_at: int | None = None  # when canaries last failed to be reproduced

    def alerts(self) -> dict[str, ConditionAlert | Anchors]:
        """Return the alerts on canaries and on anchors, if there are any, by stratum."""
        alerts: dict[str, ConditionAlert | Anchors] = {"canaries": self.canaries}
        return alerts if self.anchors is None else {**alerts, "anchors": self.anchors}

    def label_anchor(self, label: AnchorLabel) -> Transition | None:
        """Test an anchor's label; return the transition of the oracle's own monitor."""
        if self.anchors is None:
            return None
        step = self.anchors.label(label)
        if label.oracle_key == self.anchors.oracle_key:
            self._window.count()
        return step

    def report_canaries(self, result: CanaryResult) -> Transition | None:
        """Take in a worker's report. One failed report counts for two hours, since another worker
        may report the same canaries as reproduced."""
        now = result.timestamp_ms
        if not result.passed:
            self._moved_at = now
        has_moved = self._moved_at is not None and now - self._moved_at < MOVED_MILLISECONDS
        parts = (ConditionPart("canaries", 1.0, result.difference),) if has_moved else ()
        return self.canaries.set(result.student_version, parts, result.tolerance, now)

    def request_anchors(self, monitor: StratumMonitor, *, is_new_oracle: bool, now: int) -> None:
        """Add the anchors to label after one more production label of a monitor: now and then one,
        all of them to compare a new oracle by, and a window's to find the cause of an alarm.

        They say nothing of a monitor whose accepted oracle is another than theirs.
        """
        anchors = self.anchors
        if anchors is None or monitor.state.oracle_key != anchors.oracle_key:
            return
        self.wanted += anchors.production_label()
        if is_new_oracle:
            self.wanted += anchors.next(anchors.size)
        if monitor.state.awaits_cause:
            self.wanted += anchors.next(self._window.open(now))

    def cause_of(
        self, monitor: StratumMonitor, articles: ScoreDistributionMonitor, now: int
    ) -> Cause | None:
        """Return the cause of a monitor's alarm, or None while it is not known yet."""
        anchors_alarm = self._anchors_alarm(monitor)
        has_moved = self.canaries.is_active
        if anchors_alarm is False and not has_moved and not self._window.is_over(now):
            return None
        is_shifted = articles.looks_shifted(monitor.identity.student_version)
        return cause_of_alarm(CauseSigns(anchors_alarm, has_moved, is_shifted))

    def close_window(self) -> None:
        """End the window, once no alarm waits for its cause."""
        if self._window.is_open:
            self._window.close()

    def anchor_difference(self) -> AnchorDifference | None:
        """Return how the oracle that waits for a decision labels the anchors, or None without
        labels."""
        return self.anchors.anchor_difference() if self.anchors is not None else None

    def _anchors_alarm(self, monitor: StratumMonitor) -> bool | None:
        """Return whether the anchors alarm, or None without anchors by the monitor's accepted
        oracle."""
        if self.anchors is None or self.anchors.oracle_key != monitor.state.oracle_key:
            return None
        return self.anchors.is_alarmed

    def snapshot(self) -> dict[str, Any]:
        return {
            "anchors": self.anchors.snapshot() if self.anchors is not None else None,
            "attribution": self._window.snapshot(),
            "canaries": self.canaries.snapshot(),
            "moved_at": self._moved_at,
        }

    def resume(self, snapshot: Mapping[str, Any]) -> None:
        """Continue from a snapshot, which may have other parts beside these."""
        if self.anchors is not None and snapshot["anchors"] is not None:
            self.anchors.resume(snapshot["anchors"])
        self._window.resume(snapshot["attribution"])
        self.canaries.resume(snapshot["canaries"])
        self._moved_at = snapshot["moved_at"]
