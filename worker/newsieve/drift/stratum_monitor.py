"""One monitor: a filter's student in one stratum, from its reference rows to its last label.

A state machine around a `SequentialTest`. Given the same labels, decisions and ticks it takes the
same steps, whether or not it was snapshot and restored in between. Time is a position: a line of a
file, or milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from newsieve.drift.baseline import BaselineAccumulator
from newsieve.drift.error_streams import ErrorStreams
from newsieve.drift.label_reader import Label
from newsieve.drift.monitor_state import (
    ALERT,
    CALM,
    INCIDENT,
    OK,
    PENDING,
    RECOVERING,
    RECOVERING_AT,
    REMINDED,
    RESOLVED,
    RESOLVED_AT,
    SILENCED,
    SUSPENDED,
    UNKNOWN,
    WARMING,
    WARNING,
    Identity,
    MonitorConfig,
    MonitorState,
    Transition,
    Why,
    level,
)
from newsieve.drift.sequential_test import SequentialTest
from newsieve.drift.transitions import reason, severity, transition
from newsieve_schemas.drift import Cause, State


class StratumMonitor:
    """The monitor of one student in one stratum. Methods return the transition they led to, or
    None."""

    def __init__(self, identity: Identity, streams: ErrorStreams, rules: MonitorConfig) -> None:
        self.identity = identity
        self.standing = MonitorState()
        self._streams = streams
        self._rules = rules
        self.tally = BaselineAccumulator(len(streams.names))
        self.trial: SequentialTest | None = None

    @property
    def is_without_baseline(self) -> bool:
        """Nothing is tested, and nobody has asked for a baseline."""
        return self.trial is None and not self.standing.collects

    def reference(self, label: Label) -> bool:
        """A row of the baseline. False when it comes too late or from another oracle: unused."""
        here = self.standing
        if here.has_begun:
            return False
        if self.tally.labels + self.tally.failures and label.oracle_key != here.oracle_key:
            return False
        here.oracle_key = label.oracle_key
        self.tally.add(label.values, label.pi)
        return True

    def adopt(self, other: StratumMonitor) -> None:
        """Another's reference rows, where this one has none."""
        here = self.standing
        if not here.has_begun and not self.tally.labels:
            self.tally = BaselineAccumulator.restore(other.tally.snapshot())
            here.oracle_key = other.standing.oracle_key

    def label(self, label: Label) -> Transition | None:
        """A label to test, or a failure."""
        here = self.standing
        is_first, here.has_begun = not here.has_begun, True
        if is_first and self.tally.labels:
            self._begin()
        if here.state == SUSPENDED and here.other_oracle_key is not None:
            return None
        if label.values is not None and not self._is_accepted(label):
            return self._meet_other_oracle(label)
        here.last_label_at = max(here.last_label_at or label.at, label.at)  # some are set back
        here.policy = label.policy
        if self.trial is None:
            return self._warm(label)
        self.trial.label(label)
        if here.state == SUSPENDED:
            return self._resume("labels_again", label.at)
        return self._judge(self.trial, label.at)

    def settle(self, cause: Cause, at: int) -> Transition | None:
        """The cause of an alarm that waits for one: now it is an alert."""
        here = self.standing
        if self.trial is None or not here.awaits_cause or here.state == SUSPENDED:
            return None
        return self._open(self.trial, cause, at)

    def accept(self, oracle_key: str, at: int) -> Transition | None:
        """An operator accepts an oracle: its labels make a new baseline first."""
        here = self.standing
        if oracle_key == here.oracle_key:
            return None
        here.accept(oracle_key)
        return self.rebaseline(at)

    def reject(self, oracle_key: str, at: int) -> Transition | None:
        """An operator rejects an oracle: its labels are not looked at."""
        here = self.standing
        if oracle_key == here.oracle_key:
            return None
        if oracle_key not in here.rejected:
            here.rejected.append(oracle_key)
        if here.state != SUSPENDED or here.other_oracle_key != oracle_key:
            return None
        here.other_oracle_key = None
        return self._resume("rejected", at)

    def rebaseline(self, at: int) -> Transition | None:
        """An operator wants a new baseline: of the next labels."""
        here = self.standing
        self.tally = BaselineAccumulator(len(self._streams.names))
        here.collects = here.has_begun = True
        is_warming = here.state == WARMING
        self.trial = here.other_oracle_key = None
        here.awaits_cause, here.cause = False, UNKNOWN
        return None if is_warming else self._step(WARMING, "rebaseline", at)

    def acknowledge(self) -> None:
        """An operator knows of what is open now: no more reminders of it."""
        self.standing.acknowledge()

    def retire(self, at: int) -> Transition | None:
        """Another student has taken over: what it was alarmed about is over."""
        is_calm = self.standing.state in (*CALM, PENDING)
        return None if is_calm else self._step(RESOLVED, "replaced", at)

    def tick(self, now: int) -> Transition | None:
        """Time has passed."""
        here = self.standing
        rules, last = self._rules, here.last_label_at
        is_silent = rules.silence is not None and last is not None and now - last >= rules.silence
        if is_silent and here.state in SILENCED and not here.awaits_cause:
            here.before = here.state
            return self._step(SUSPENDED, "no_labels", now)
        if rules.reminder is None or here.state not in REMINDED:
            return None
        is_worse = severity(here.state, self.trial) == "critical" != here.published_severity
        is_due = now - here.published_at >= rules.reminder and not here.is_acknowledged
        if not is_worse and not is_due:
            return None
        return replace(self._step(here.state, reason(here, self.trial), now), is_reminder=True)

    def now(self, at: int) -> Transition:
        """Where it stands, as a reminder would tell it. Nothing changes."""
        here, trial = self.standing, self.trial
        told = transition(self.identity, here, trial, here.state, reason(here, trial), at)
        return replace(told, is_reminder=True)

    def _is_accepted(self, label: Label) -> bool:
        here = self.standing
        if here.oracle_key is None:
            here.oracle_key = label.oracle_key
        return label.oracle_key == here.oracle_key

    def _meet_other_oracle(self, label: Label) -> Transition | None:
        here = self.standing
        if label.oracle_key in here.rejected or (self.trial is None and not here.collects):
            return None
        if here.state != SUSPENDED:
            here.before = here.state
        here.other_oracle_key = label.oracle_key
        return self._step(SUSPENDED, "oracle_changed", label.at)

    def _warm(self, label: Label) -> Transition | None:
        """Without a baseline nothing is tested; an operator's is being made."""
        if not self.standing.collects:
            return None
        self.tally.add(label.values, label.pi)
        if self.tally.labels < self._rules.rebaseline_labels:
            return None
        self._begin()
        return self._step(OK, "baseline", label.at)

    def _begin(self) -> None:
        self.trial = SequentialTest(self._streams, self.tally.baseline(self._streams))
        self.tally = BaselineAccumulator(len(self._streams.names))
        self.standing.collects = False

    def _judge(self, trial: SequentialTest, at: int) -> Transition | None:
        """The step that the evidence asks for."""
        here = self.standing
        if here.awaits_cause:
            return None
        if here.state in INCIDENT:
            return self._judge_recovery(trial, at)
        reached = level(trial.evidence().value, here.state)
        if reached == ALERT:
            if not trial.is_improvement():
                return self._alarm(trial, at)
            trial.restart()
            reached = OK
        elif reached == WARNING and here.state != WARNING and trial.is_improvement():
            reached = PENDING
        why: Why = "baseline" if here.state == WARMING and reached == OK else "evidence"
        return self._step(reached, why, at) if reached != here.state else None

    def _judge_recovery(self, trial: SequentialTest, at: int) -> Transition | None:
        here = self.standing
        value = trial.recovery()
        if value >= RESOLVED_AT:
            step = self._step(RESOLVED, "evidence", at)
            trial.restart()
            here.cause, here.is_acknowledged = UNKNOWN, False
            return step
        if value >= RECOVERING_AT and here.state == ALERT:
            return self._step(RECOVERING, "evidence", at)
        return None

    def _alarm(self, trial: SequentialTest, at: int) -> Transition | None:
        here = self.standing
        trial.freeze_evidence()
        if not self._rules.awaits_causes:
            return self._open(trial, self._rules.cause, at)
        here.awaits_cause = True
        return self._step(WARNING, "evidence", at) if here.state != WARNING else None

    def _open(self, trial: SequentialTest, cause: Cause, at: int) -> Transition:
        here = self.standing
        here.awaits_cause = False
        here.cause = cause
        step = self._step(ALERT, "evidence", at)
        trial.begin_recovery(at)
        return step

    def _resume(self, why: Why, at: int) -> Transition:
        """After a suspension: where it was. The next label judges."""
        return self._step(self.standing.after_suspension(), why, at)

    def _step(self, state: State, why: Why, at: int) -> Transition:
        """Into a state, perhaps the same, and the record of it."""
        here = self.standing
        if here.state in CALM:
            here.episode, here.is_acknowledged = at, False
        found = transition(self.identity, here, self.trial, state, why, at)
        here.state, here.published_at, here.published_severity = state, at, found.severity
        here.published = here.published if state == PENDING else state
        return found

    def snapshot(self) -> dict[str, Any]:
        """All of it, as JSON."""
        return {
            "streams": list(self._streams.names),
            "state": asdict(self.standing),
            "collected": self.tally.snapshot(),
            "test": None if self.trial is None else self.trial.snapshot(),
        }

    @classmethod
    def restore(
        cls,
        identity: Identity,
        streams: ErrorStreams,
        rules: MonitorConfig,
        facts: Mapping[str, Any],
    ) -> StratumMonitor:
        """The monitor of a snapshot, bit by bit."""
        monitor = cls(identity, streams, rules)
        monitor.standing = MonitorState(**facts["state"])
        monitor.tally = BaselineAccumulator.restore(
            facts["collected"], facts["streams"], streams.names
        )
        if facts["test"] is not None:
            monitor.trial = SequentialTest.restore(streams, facts["test"], facts["streams"])
        return monitor
