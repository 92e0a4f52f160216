"""Facade of one filter's drift monitoring, with all that helps to attribute an alarm to a cause.

    label      a production label, or reference row      → its monitor, perhaps an alarm
    anchor     an anchor's label                         → the oracle's own monitor
    scored     a scored article                          → the unlabelled stream
    canaries   a report of the worker's                  → is it the student that was packaged?
    decide     an operator's decision
    tick       the time; nothing here has a clock

Each returns the transitions it led to, in order. `anchors_wanted` is to be asked of the oracle. A
monitor restored from its snapshots goes on as if nothing had happened. Knows no topics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from operator import itemgetter
from typing import Any, Final

from newsieve.drift.anchors import AnchorDifference, Anchors, AnchorSet
from newsieve.drift.cause_attribution import AttributionWindow, CauseSigns, cause_of_alarm
from newsieve.drift.condition_alert import CANARIES, CanaryResult, ConditionAlert
from newsieve.drift.data_drift import ScoreSample
from newsieve.drift.decision_log import Decision, DecisionLog, decide
from newsieve.drift.dedup import LabelDeduplicator
from newsieve.drift.error_streams import ErrorStreams
from newsieve.drift.label_reader import MONITOR, AnchorLabel, Label
from newsieve.drift.monitor_registry import MonitorRegistry
from newsieve.drift.monitor_state import (
    OK,
    RESOLVED,
    ConditionPart,
    Identity,
    MonitorConfig,
    Transition,
)
from newsieve.drift.score_distribution import ScoreDistributionMonitor
from newsieve.drift.snapshot import DISTRIBUTIONS, FILTER_STATE, Snapshot
from newsieve.drift.stratum_monitor import StratumMonitor
from newsieve.filters.registry import Filter
from newsieve.filters.sampling import LOW, SURFACED, SUSPECT
from newsieve_schemas.drift import State

MOVED_MILLISECONDS: Final = 2 * 60 * 60 * 1_000  # canaries are reported hourly, by every worker


class FilterMonitor:
    """Drift monitoring of one filter: monitors per stratum, anchors, canaries, data drift and
    operators' decisions."""

    def __init__(
        self,
        filter_: Filter,
        rules: MonitorConfig,
        anchors: AnchorSet | None,
        streams: ErrorStreams | None = None,
    ) -> None:
        """`streams` is None for the filter's own table."""
        streams = streams or ErrorStreams(filter_)
        self.filter = filter_
        self.anchors_wanted: list[str] = []
        self.ticked_at: int | None = None  # when it was last told the time
        self.articles = ScoreDistributionMonitor(filter_, rules.reminder)
        self._streams = streams
        self._seen = LabelDeduplicator()
        self._rules = replace(rules, awaits_causes=anchors is not None)
        self.monitors = MonitorRegistry(filter_.name, streams, self._rules, self._seen)
        self._anchors = (
            None if anchors is None else Anchors(filter_.name, streams, anchors, rules.reminder)
        )
        self._guard = AttributionWindow(self._anchors.size if self._anchors else 0)
        self._canaries = ConditionAlert(filter_.name, CANARIES, rules.reminder)
        self._moved_at: int | None = None
        self._decided = DecisionLog()
        self._changed: set[Identity] = set()

    @property
    def all_monitors(self) -> Mapping[Identity, StratumMonitor]:
        return self.monitors.by_identity

    def label(self, label: Label) -> list[Transition]:
        """A label or reference row, in the stream's order."""
        if label.stratum == SUSPECT:
            self.monitors.label(label)
            return self._settle(label.at)
        identity = Identity(self.filter.name, label.student_version, label.stratum)
        before = self._suspended_by(identity)
        if identity not in self.monitors.by_identity and self._decided.wants_baseline(identity):
            self.monitors.by_identity[identity] = self.monitors.new(identity)
            self.monitors.by_identity[identity].rebaseline(label.at)
        step = self.monitors.label(label)
        self._changed.add(identity)
        if label.purpose == MONITOR:
            self._want_anchors(identity, before, label.at)
        return [*_some(step), *self._settle(label.at)]

    def anchor(self, label: AnchorLabel) -> list[Transition]:
        """An anchor's label."""
        if self._anchors is None:
            return []
        step = self._anchors.label(label)
        if label.oracle_key == self._anchors.oracle_key:
            self._guard.count()
        return [*_some(step), *self._settle(label.at)]

    def scored(self, article: ScoreSample, student_version: str) -> list[Transition]:
        """A scored or blocked article."""
        return _some(self.articles.scored(article, student_version))

    def canaries(self, result: CanaryResult) -> list[Transition]:
        """A report of fixed texts, scored again."""
        if not result.passed:
            self._moved_at = result.at
        has_moved = self._moved_at is not None and result.at - self._moved_at < MOVED_MILLISECONDS
        parts = (ConditionPart("canaries", 1.0, result.difference),) if has_moved else ()
        step = self._canaries.set(result.student_version, parts, result.tolerance, result.at)
        return [*_some(step), *self._settle(result.at)]

    def decide(self, decision: Decision) -> list[Transition]:
        """An operator's decision. Taken twice, it is taken once."""
        if not self._decided.is_new(decision):
            return []
        found: list[Transition] = []
        for identity, monitor in self._in_order():
            if decision.is_about(identity):
                self._changed.add(identity)
                found += _some(decide(monitor, decision))
        if decision.kind == "rebaseline":
            self._rebaseline_ahead(decision)
        if decision.kind == "acknowledge" and decision.stratum is None:
            self._canaries.acknowledge()
            if self._anchors is not None:
                self._anchors.acknowledge()
        return found

    def _want_anchors(self, identity: Identity, before: str | None, at: int) -> None:
        """A few with every label, all to compare another oracle by, some to find a cause. They say
        nothing of an oracle that they are not of. `before`: the one that had suspended already."""
        anchors, monitor = self._anchors, self.monitors.by_identity.get(identity)
        if anchors is None or monitor is None or monitor.standing.oracle_key != anchors.oracle_key:
            return
        self.anchors_wanted += anchors.production_label()
        other = monitor.standing.other_oracle_key
        compared = [
            self._suspended_by(item) for item in self.monitors.by_identity if item != identity
        ]
        if other not in (None, before, *compared):
            self.anchors_wanted += anchors.next(anchors.size)
        if monitor.standing.awaits_cause:
            self.anchors_wanted += anchors.next(self._guard.open(at))

    def _rebaseline_ahead(self, decision: Decision) -> None:
        """Also of the student's monitors that have had no label yet."""
        student = decision.student_version
        for stratum in (LOW, SURFACED) if student is not None else ():
            ahead = Identity(self.filter.name, student or "", stratum)
            if ahead not in self.monitors.by_identity and decision.is_about(ahead):
                self._decided.rebaseline_ahead(ahead)

    def tick(self, now: int) -> list[Transition]:
        """What time alone brings: the end of a guard window, silence, reminders."""
        self.ticked_at = now
        found = self._settle(now)
        for identity, monitor in self._in_order():
            step = self._retire(identity, monitor, now) or monitor.tick(now)
            if step is not None:
                found.append(step)
                self._changed.add(identity)
        found += _some(self._canaries.tick(now))
        if self._anchors is not None:
            found += _some(self._anchors.tick(now))
        return found

    def decided_at(self, scope: str) -> int:
        """When the last decision of a scope was taken; -1 where there is none."""
        return self._decided.latest(scope)

    def signals(self) -> dict[str, State]:
        """The states of what is not one monitor's, by stratum."""
        found = {"canaries": self._canaries.state, "articles": self.articles.state}
        return found if self._anchors is None else {**found, "anchors": self._anchors.state}

    def now(self, at: int) -> list[Transition]:
        """Where each monitor and each signal stands, as a reminder would tell it."""
        found = [monitor.now(at) for _, monitor in self._in_order()]
        found += [self._canaries.now(at), self.articles.now(at)]
        return found if self._anchors is None else [*found, self._anchors.now(at)]

    def difference(self) -> AnchorDifference | None:
        """How an oracle that waits for a decision labels the anchors."""
        return self._anchors.difference() if self._anchors is not None else None

    def take_changes(self) -> list[Snapshot]:
        """Snapshots of all that has changed since the last call: what a commit has to keep."""
        changed, self._changed = self._changed, set()
        found = [self._saved(identity) for identity in sorted(changed, key=str)]
        rest = {FILTER_STATE: self._rest(), DISTRIBUTIONS: self.articles.snapshot()}
        for stratum, facts in rest.items():
            found.append(Snapshot(Identity(self.filter.name, "", stratum), OK, 0, "", facts))
        return found

    def resume(self, saved: Snapshot) -> None:
        """Go on where this snapshot was taken, the latest of its identity. Raises what a snapshot
        that is none of ours leads to."""
        if saved.detector is None:
            return
        if saved.identity.stratum == FILTER_STATE:
            self._resume_rest(saved.detector)
        elif saved.identity.stratum == DISTRIBUTIONS:
            self.articles.resume(saved.detector)
        else:
            self.monitors.by_identity[saved.identity] = StratumMonitor.restore(
                saved.identity, self._streams, self._rules, saved.detector
            )

    def _in_order(self) -> list[tuple[Identity, StratumMonitor]]:
        """Whenever they were made, or read back."""
        return sorted(self.monitors.by_identity.items(), key=itemgetter(0))

    def _saved(self, identity: Identity) -> Snapshot:
        monitor = self.monitors.by_identity.get(identity)
        if monitor is None:
            return Snapshot(identity, RESOLVED, 0, "", None)
        key = monitor.standing.oracle_key or ""
        return Snapshot(
            identity, monitor.standing.state, monitor.standing.episode, key, monitor.snapshot()
        )

    def _suspended_by(self, identity: Identity) -> str | None:
        monitor = self.monitors.by_identity.get(identity)
        return None if monitor is None else monitor.standing.other_oracle_key

    def _settle(self, now: int) -> list[Transition]:
        """Alarms that wait for their cause get it, once it can be told."""
        found = []
        waiting = [item for _, item in self._in_order() if item.standing.awaits_cause]
        is_over = self._guard.is_over(now)
        for monitor in waiting:
            anchors_alarm = self._anchors_alarm(monitor)
            if is_over or self._canaries.is_on or anchors_alarm is not False:
                is_shifted = self.articles.looks_shifted(monitor.identity.student_version)
                signs = CauseSigns(anchors_alarm, self._canaries.is_on, is_shifted)
                step = monitor.settle(cause_of_alarm(signs), now)
                if step is not None:
                    found.append(step)
                    self._changed.add(monitor.identity)
        if self._guard.is_open and not any(monitor.standing.awaits_cause for monitor in waiting):
            self._guard.close()
        return found

    def _anchors_alarm(self, monitor: StratumMonitor) -> bool | None:
        """None where there are no anchors of the monitor's oracle: nothing to wait for."""
        if self._anchors is None or self._anchors.oracle_key != monitor.standing.oracle_key:
            return None
        return self._anchors.is_alarmed

    def _retire(self, identity: Identity, monitor: StratumMonitor, now: int) -> Transition | None:
        """A student that another has replaced is no longer watched, once its last labels are in."""
        last, silence = monitor.standing.last_label_at, self._rules.silence
        if silence is None or last is None or now - last < silence:
            return None
        is_replaced = any(
            other.identity.stratum == identity.stratum
            and (other.standing.last_label_at or 0) > last
            for other in self.monitors.by_identity.values()
        )
        if not is_replaced:
            return None
        del self.monitors.by_identity[identity]
        self._changed.add(identity)
        return monitor.retire(now)

    def _rest(self) -> dict[str, Any]:
        return {
            "seen": self._seen.snapshot(),
            "anchors": self._anchors.snapshot() if self._anchors is not None else None,
            "attribution": self._guard.snapshot(),
            "canaries": self._canaries.snapshot(),
            "moved_at": self._moved_at,
            "decisions": self._decided.snapshot(),
            "ticked_at": self.ticked_at,
            "suspects": self.monitors.suspects.snapshot(),
        }

    def _resume_rest(self, facts: Mapping[str, Any]) -> None:
        self._seen.resume(facts["seen"])
        if self._anchors is not None and facts["anchors"] is not None:
            self._anchors.resume(facts["anchors"])
        self._guard.resume(facts["attribution"])
        self._canaries.resume(facts["canaries"])
        self._moved_at = facts["moved_at"]
        self._decided.resume(facts["decisions"])
        self.ticked_at = facts["ticked_at"]
        if facts.get("suspects") is not None:  # early snapshots of format 1 have none
            self.monitors.suspects.resume(facts["suspects"])


def _some(step: Transition | None) -> list[Transition]:
    return [] if step is None else [step]
