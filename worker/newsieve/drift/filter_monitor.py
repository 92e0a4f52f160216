"""Facade of one filter's drift monitoring: monitors per stratum, the cause of their alarms, data
drift and operators' decisions.

    label      a production label or a reference row     → its stratum's monitor
    anchor     an anchor's label                         → the oracle's own monitor
    scored     a scored or blocked article               → the distribution of scores
    canaries   a worker's report of its canaries         → does it run the student it should?
    decide     an operator's decision
    tick       the passing of time; nothing here has a clock

Each returns the transitions it led to, in order. A monitor that is restored from its snapshots goes
on as if it had never stopped. Knows no topics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from newsieve.drift.alarm_attribution import AlarmAttribution
from newsieve.drift.anchors import Anchors, AnchorSet
from newsieve.drift.condition_alert import CanaryResult, ConditionAlert
from newsieve.drift.data_drift import ScoreSample
from newsieve.drift.decision_log import Decision, DecisionLog, decide
from newsieve.drift.dedup import LabelDeduplicator
from newsieve.drift.error_streams import ErrorStreams
from newsieve.drift.label_reader import MONITOR, AnchorLabel, Label
from newsieve.drift.monitor_registry import MonitorRegistry
from newsieve.drift.monitor_state import OK, RESOLVED, Identity, MonitorConfig, Transition
from newsieve.drift.score_distribution import ScoreDistributionMonitor
from newsieve.drift.snapshot import DISTRIBUTIONS, FILTER_STATE, Snapshot
from newsieve.drift.stratum_monitor import StratumMonitor
from newsieve.filters.registry import Filter
from newsieve.filters.sampling import LOW, SURFACED, SUSPECT
from newsieve_schemas.drift import State


class FilterMonitor:
    """Drift monitoring of one filter. Not safe for use by several threads."""

    def __init__(
        self,
        filter_: Filter,
        config: MonitorConfig,
        anchors: AnchorSet | None,
        streams: ErrorStreams | None = None,
    ) -> None:
        """`streams` is None for the filter's own table."""
        streams = streams or ErrorStreams(filter_)
        self.filter = filter_
        self.ticked_at: int | None = None  # the time of the last tick
        self.attribution = AlarmAttribution(filter_.name, streams, anchors, config.reminder)
        self.score_distribution = ScoreDistributionMonitor(filter_, config.reminder)
        self.decisions = DecisionLog()
        self._streams = streams
        self._deduplicator = LabelDeduplicator()
        self._config = replace(config, awaits_causes=anchors is not None)
        self.monitors = MonitorRegistry(filter_.name, streams, self._config, self._deduplicator)
        self._changed: set[Identity] = set()

    def label(self, label: Label) -> list[Transition]:
        """Test a label, or add a reference row, in the order of the stream."""
        if label.stratum == SUSPECT:
            self.monitors.label(label)
            return self._attribute_alarms(label.position)
        identity = Identity(self.filter.name, label.student_version, label.stratum)
        known_oracles = {None, *self.monitors.suspending_oracles()}
        if identity not in self.monitors.by_identity and self.decisions.wants_baseline(identity):
            self.monitors.by_identity[identity] = self.monitors.new(identity)
            self.monitors.by_identity[identity].rebaseline(label.position)
        step = self.monitors.label(label)
        self._changed.add(identity)
        monitor = self.monitors.by_identity.get(identity)
        if label.purpose == MONITOR and monitor is not None:
            is_new_oracle = monitor.state.other_oracle_key not in known_oracles
            self.attribution.request_anchors(
                monitor, is_new_oracle=is_new_oracle, now=label.position
            )
        return [*_as_list(step), *self._attribute_alarms(label.position)]

    def anchor(self, label: AnchorLabel) -> list[Transition]:
        """Test an anchor's label."""
        step = self.attribution.label_anchor(label)
        return [*_as_list(step), *self._attribute_alarms(label.position)]

    def scored(self, article: ScoreSample, student_version: str) -> list[Transition]:
        """Count a scored or blocked article."""
        return _as_list(self.score_distribution.scored(article, student_version))

    def canaries(self, result: CanaryResult) -> list[Transition]:
        """Take in a worker's report of its canaries."""
        step = self.attribution.report_canaries(result)
        return [*_as_list(step), *self._attribute_alarms(result.timestamp_ms)]

    def decide(self, decision: Decision) -> list[Transition]:
        """Carry out an operator's decision, once however often it is read."""
        if not self.decisions.is_new(decision):
            return []
        steps: list[Transition] = []
        for identity, monitor in self.monitors.in_order():
            if decision.is_about(identity):
                self._changed.add(identity)
                steps += _as_list(decide(monitor, decision))
        if decision.kind == "rebaseline":
            for identity in _expected(self.filter.name, decision):
                if identity not in self.monitors.by_identity:
                    self.decisions.rebaseline_ahead(identity)
        if decision.kind == "acknowledge" and decision.stratum is None:
            for alert in self.attribution.alerts().values():
                alert.acknowledge()
        return steps

    def tick(self, now: int) -> list[Transition]:
        """Do what time alone brings: the end of an attribution window, silence, reminders."""
        self.ticked_at = now
        steps = self._attribute_alarms(now)
        for identity, monitor in self.monitors.in_order():
            if self.monitors.is_replaced(monitor, now):
                del self.monitors.by_identity[identity]
                self._changed.add(identity)
                step = monitor.retire(now)
            else:
                step = None
            step = step or monitor.tick(now)
            if step is not None:
                steps.append(step)
                self._changed.add(identity)
        for alert in self.attribution.alerts().values():
            steps += _as_list(alert.tick(now))
        return steps

    def shared_states(self) -> dict[str, State]:
        """The states of canaries, articles and anchors, which no stratum's monitor has."""
        return {name: alert.state for name, alert in self._shared_alerts().items()}

    def as_reminders(self, now: int) -> list[Transition]:
        """The state of each monitor, of canaries, articles and anchors, as reminders of it."""
        steps = [monitor.as_reminder(now) for _, monitor in self.monitors.in_order()]
        return steps + [alert.as_reminder(now) for alert in self._shared_alerts().values()]

    def _shared_alerts(self) -> dict[str, ConditionAlert | ScoreDistributionMonitor | Anchors]:
        canaries, articles = self.attribution.canaries, self.score_distribution
        return {"canaries": canaries, "articles": articles, **self.attribution.alerts()}

    def take_changes(self) -> list[Snapshot]:
        """Snapshots of all that has changed since the last call, which the next commit stores."""
        changed, self._changed = self._changed, set()
        snapshots = [
            _snapshot(identity, self.monitors.by_identity.get(identity))
            for identity in sorted(changed, key=str)
        ]
        shared = {
            FILTER_STATE: self._shared_snapshot(),
            DISTRIBUTIONS: self.score_distribution.snapshot(),
        }
        for stratum, part in shared.items():
            snapshots.append(Snapshot(Identity(self.filter.name, "", stratum), OK, 0, "", part))
        return snapshots

    def resume(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot, which is the latest of its identity.

        Raises AttributeError, LookupError, TypeError, ValueError or zlib.error for a snapshot that
        no FilterMonitor has made.
        """
        if snapshot.detector is None:
            return
        if snapshot.identity.stratum == FILTER_STATE:
            self._resume_shared(snapshot.detector)
        elif snapshot.identity.stratum == DISTRIBUTIONS:
            self.score_distribution.resume(snapshot.detector)
        else:
            self.monitors.by_identity[snapshot.identity] = StratumMonitor.restore(
                snapshot.identity, self._streams, self._config, snapshot.detector
            )

    def _attribute_alarms(self, now: int) -> list[Transition]:
        """Give alarms their cause where it can be told, which makes them alerts."""
        steps = []
        waiting = [item for _, item in self.monitors.in_order() if item.state.awaits_cause]
        for monitor in waiting:
            cause = self.attribution.cause_of(monitor, self.score_distribution, now)
            step = monitor.set_cause(cause, now) if cause is not None else None
            if step is not None:
                steps.append(step)
                self._changed.add(monitor.identity)
        if not any(monitor.state.awaits_cause for monitor in waiting):
            self.attribution.close_window()
        return steps

    def _shared_snapshot(self) -> dict[str, Any]:
        return {
            "seen": self._deduplicator.snapshot(),
            **self.attribution.snapshot(),
            "decisions": self.decisions.snapshot(),
            "ticked_at": self.ticked_at,
            "suspects": self.monitors.suspects.snapshot(),
        }

    def _resume_shared(self, snapshot: Mapping[str, Any]) -> None:
        self._deduplicator.resume(snapshot["seen"])
        self.attribution.resume(snapshot)
        self.decisions.resume(snapshot["decisions"])
        self.ticked_at = snapshot["ticked_at"]
        if snapshot.get("suspects") is not None:  # early snapshots of format 1 have none
            self.monitors.suspects.resume(snapshot["suspects"])


def _expected(filter_name: str, decision: Decision) -> list[Identity]:
    """The monitors that a decision is about and that the live stream of its student will have."""
    if decision.student_version is None:
        return []
    student = decision.student_version
    both = [Identity(filter_name, student, stratum) for stratum in (LOW, SURFACED)]
    return [identity for identity in both if decision.is_about(identity)]


def _snapshot(identity: Identity, monitor: StratumMonitor | None) -> Snapshot:
    """The snapshot of one monitor, or of one that was retired: None."""
    if monitor is None:
        return Snapshot(identity, RESOLVED, 0, "", None)
    state = monitor.state
    return Snapshot(
        identity, state.state, state.episode, state.oracle_key or "", monitor.snapshot()
    )


def _as_list(step: Transition | None) -> list[Transition]:
    return [] if step is None else [step]
