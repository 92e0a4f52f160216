"""The monitor of one student in one stratum, from its reference rows to its last label.

It is a state machine around a `SequentialTest`. Given the same labels, decisions and ticks it takes
the same steps, whether or not it was stored and restored in between. Time is a position: a line
number or milliseconds.
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
    TransitionReason,
    level,
)
from newsieve.drift.sequential_test import SequentialTest
from newsieve.drift.transitions import current_reason, severity, transition
from newsieve_schemas.drift import Cause, State


# More than 15 methods: each input of the state machine is one, and each kind of step is one.
class StratumMonitor:
    """The monitor of one student in one stratum. Its inputs return the transition that they led to,
    or None."""

    def __init__(self, identity: Identity, streams: ErrorStreams, config: MonitorConfig) -> None:
        self.identity = identity
        self.state = MonitorState()
        self._streams = streams
        self._config = config
        self.accumulator = BaselineAccumulator(len(streams.names))
        self.test: SequentialTest | None = None

    @property
    def is_without_baseline(self) -> bool:
        """Whether nothing is tested, and no baseline is being made."""
        return self.test is None and not self.state.collects

    def reference(self, label: Label) -> bool:
        """Add a row of the baseline. Returns False when the row comes after a label or from
        another oracle, and is not used."""
        current, rows = self.state, self.accumulator
        is_first = rows.labels + rows.failures == 0
        if current.has_begun or not (is_first or label.oracle_key == current.oracle_key):
            return False
        current.oracle_key = label.oracle_key
        rows.add(label.values, label.pi)
        return True

    def adopt(self, other: StratumMonitor) -> None:
        """Take over another monitor's reference rows, unless it has rows of its own."""
        current = self.state
        if not current.has_begun and not self.accumulator.labels:
            self.accumulator = BaselineAccumulator.restore(other.accumulator.snapshot())
            current.oracle_key = other.state.oracle_key

    def label(self, label: Label) -> Transition | None:
        """Test a label, or a failed one."""
        current = self.state
        is_first, current.has_begun = not current.has_begun, True
        if is_first and self.accumulator.labels:
            self._begin()
        if current.state == SUSPENDED and current.other_oracle_key is not None:
            return None
        if label.values is not None and not self._is_accepted(label):
            return self._meet_other_oracle(label)
        last = current.last_label_at or label.position
        current.last_label_at = max(last, label.position)  # a producer's clock may be set back
        current.policy = label.policy
        if self.test is None:
            return self._warm(label)
        self.test.label(label)
        if current.state == SUSPENDED:
            return self._resume("labels_again", label.position)
        return self._judge(self.test, label.position)

    def set_cause(self, cause: Cause, position: int) -> Transition | None:
        """Make an alarm that waits for its cause an alert."""
        current = self.state
        if self.test is None or not current.awaits_cause or current.state == SUSPENDED:
            return None
        return self._open(self.test, cause, position)

    def accept(self, oracle_key: str, position: int) -> Transition | None:
        """Accept an oracle, as an operator has decided: its next labels make a new baseline."""
        current = self.state
        if oracle_key == current.oracle_key:
            return None
        current.accept(oracle_key)
        return self.rebaseline(position)

    def reject(self, oracle_key: str, position: int) -> Transition | None:
        """Reject an oracle, as an operator has decided: its labels are ignored."""
        current = self.state
        if oracle_key == current.oracle_key:
            return None
        if oracle_key not in current.rejected:
            current.rejected.append(oracle_key)
        if current.state != SUSPENDED or current.other_oracle_key != oracle_key:
            return None
        current.other_oracle_key = None
        return self._resume("rejected", position)

    def rebaseline(self, position: int) -> Transition | None:
        """Begin a new baseline of the next labels, as an operator has decided."""
        current = self.state
        self.accumulator = BaselineAccumulator(len(self._streams.names))
        current.collects = current.has_begun = True
        is_warming = current.state == WARMING
        self.test = current.other_oracle_key = None
        current.awaits_cause, current.cause = False, UNKNOWN
        return None if is_warming else self._step(WARMING, "rebaseline", position)

    def acknowledge(self) -> None:
        """Stop the reminders of the open incident, as an operator has decided."""
        self.state.acknowledge()

    def retire(self, position: int) -> Transition | None:
        """End the monitor, since another student has taken over: an open incident is resolved."""
        is_calm = self.state.state in (*CALM, PENDING)
        return None if is_calm else self._step(RESOLVED, "replaced", position)

    def tick(self, now: int) -> Transition | None:
        """Suspend the monitor after a long silence, or return a reminder when one is due."""
        current, config = self.state, self._config
        last = current.last_label_at
        is_silent = config.silence is not None and last is not None and now - last >= config.silence
        if is_silent and current.state in SILENCED and not current.awaits_cause:
            current.before = current.state
            return self._step(SUSPENDED, "no_labels", now)
        if config.reminder is None or current.state not in REMINDED:
            return None
        is_worse = severity(current.state, self.test) == "critical" != current.published_severity
        is_due = now - current.published_at >= config.reminder and not current.is_acknowledged
        if not is_worse and not is_due:
            return None
        reason = current_reason(current, self.test)
        return replace(self._step(current.state, reason, now), is_reminder=True)

    def as_reminder(self, position: int) -> Transition:
        """Return the present state as a reminder of it, and change nothing."""
        current, test = self.state, self.test
        reason = current_reason(current, test)
        step = transition(self.identity, current, test, current.state, reason, position)
        return replace(step, is_reminder=True)

    def _is_accepted(self, label: Label) -> bool:
        current = self.state
        if current.oracle_key is None:
            current.oracle_key = label.oracle_key
        return label.oracle_key == current.oracle_key

    def _meet_other_oracle(self, label: Label) -> Transition | None:
        current = self.state
        if label.oracle_key in current.rejected or (self.test is None and not current.collects):
            return None
        if current.state != SUSPENDED:
            current.before = current.state
        current.other_oracle_key = label.oracle_key
        return self._step(SUSPENDED, "oracle_changed", label.position)

    def _warm(self, label: Label) -> Transition | None:
        """Add a label to the baseline that an operator has asked for; without one nothing is
        tested."""
        if not self.state.collects:
            return None
        self.accumulator.add(label.values, label.pi)
        if self.accumulator.labels < self._config.rebaseline_labels:
            return None
        self._begin()
        return self._step(OK, "baseline", label.position)

    def _begin(self) -> None:
        self.test = SequentialTest(self._streams, self.accumulator.baseline(self._streams))
        self.accumulator = BaselineAccumulator(len(self._streams.names))
        self.state.collects = False

    def _judge(self, test: SequentialTest, position: int) -> Transition | None:
        """Take the step that the evidence asks for."""
        current = self.state
        if current.awaits_cause:
            return None
        if current.state in INCIDENT:
            return self._judge_recovery(test, position)
        reached = level(test.evidence().value, current.state)
        if reached == ALERT:
            if not test.is_improvement():
                return self._alarm(test, position)
            test.restart()
            reached = OK
        elif reached == WARNING and current.state != WARNING and test.is_improvement():
            reached = PENDING
        reason: TransitionReason = (
            "baseline" if current.state == WARMING and reached == OK else "evidence"
        )
        return self._step(reached, reason, position) if reached != current.state else None

    def _judge_recovery(self, test: SequentialTest, position: int) -> Transition | None:
        current = self.state
        value = test.recovery()
        if value >= RESOLVED_AT:
            step = self._step(RESOLVED, "evidence", position)
            test.restart()
            current.cause, current.is_acknowledged = UNKNOWN, False
            return step
        if value >= RECOVERING_AT and current.state == ALERT:
            return self._step(RECOVERING, "evidence", position)
        return None

    def _alarm(self, test: SequentialTest, position: int) -> Transition | None:
        current = self.state
        test.freeze_evidence()
        if not self._config.awaits_causes:
            return self._open(test, self._config.cause, position)
        current.awaits_cause = True
        return self._step(WARNING, "evidence", position) if current.state != WARNING else None

    def _open(self, test: SequentialTest, cause: Cause, position: int) -> Transition:
        current = self.state
        current.awaits_cause = False
        current.cause = cause
        step = self._step(ALERT, "evidence", position)
        test.begin_recovery(position)
        return step

    def _resume(self, reason: TransitionReason, position: int) -> Transition:
        """Go back to the state before a suspension. The next label judges."""
        return self._step(self.state.after_suspension(), reason, position)

    def _step(self, next_state: State, reason: TransitionReason, position: int) -> Transition:
        """Go to a state, perhaps the same one, and return the transition."""
        current = self.state
        if current.state in CALM:
            current.episode, current.is_acknowledged = position, False
        step = transition(self.identity, current, self.test, next_state, reason, position)
        current.state, current.published_at, current.published_severity = (
            next_state,
            position,
            step.severity,
        )
        current.published = current.published if next_state == PENDING else next_state
        return step

    def snapshot(self) -> dict[str, Any]:
        """Return all of the monitor's state as JSON values."""
        return {
            "streams": list(self._streams.names),
            "state": asdict(self.state),
            "collected": self.accumulator.snapshot(),
            "test": None if self.test is None else self.test.snapshot(),
        }

    @classmethod
    def restore(
        cls,
        identity: Identity,
        streams: ErrorStreams,
        config: MonitorConfig,
        snapshot: Mapping[str, Any],
    ) -> StratumMonitor:
        """Return the monitor of a snapshot, bit by bit."""
        monitor = cls(identity, streams, config)
        monitor.state = MonitorState(**snapshot["state"])
        monitor.accumulator = BaselineAccumulator.restore(
            snapshot["collected"], snapshot["streams"], streams.names
        )
        if snapshot["test"] is not None:
            monitor.test = SequentialTest.restore(streams, snapshot["test"], snapshot["streams"])
        return monitor
