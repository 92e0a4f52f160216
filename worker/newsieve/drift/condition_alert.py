"""The alert of a condition of a whole filter: its canaries have moved, or its articles have
shifted.

A condition is active or not. Its alert makes a transition when that changes, and is repeated while
it lasts. There is no test: a canary is reproduced or it is not, and of an effect only its size
counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from newsieve.drift.monitor_state import (
    ALERT,
    OK,
    RESOLVED,
    WARNING,
    ConditionPart,
    Identity,
    Transition,
    TransitionReason,
)
from newsieve_schemas.drift import Cause, Severity, State


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """The outcome of a worker's CanaryReport; `difference` is the largest of its canaries."""

    timestamp_ms: int
    student_version: str
    passed: bool
    difference: float
    tolerance: float


@dataclass(frozen=True, slots=True)
class ConditionKind:
    """The state, severity and cause that an active condition is reported with."""

    stratum: str
    reason: TransitionReason
    state: State
    cleared_state: State  # once it is a no again
    severity: Severity
    cause: Cause


CANARIES: Final = ConditionKind(
    "canaries", "canaries", ALERT, RESOLVED, "critical", "serving_defect"
)
ARTICLES: Final = ConditionKind("articles", "articles", WARNING, OK, "info", "benign_shift")


class ConditionAlert:
    """The alert of one condition. Its inputs return the transition that they led to, or None."""

    def __init__(self, filter_name: str, kind: ConditionKind, reminder: int | None) -> None:
        self.state: State = OK
        self.student_version = ""
        self._filter = filter_name
        self._kind = kind
        self._reminder = reminder
        self._episode = self._published_at = 0
        self._is_acknowledged = False
        self._parts: tuple[ConditionPart, ...] = ()
        self._threshold = 0.0

    @property
    def is_active(self) -> bool:
        return self.state == self._kind.state

    def set(
        self,
        student_version: str,
        parts: tuple[ConditionPart, ...],
        threshold: float,
        timestamp_ms: int,
    ) -> Transition | None:
        """Set whether the condition is active: it is if there are parts, the largest of which
        comes first. Returns a transition when that has changed."""
        is_active = bool(parts)
        if is_active == self.is_active:
            return None
        self.student_version = student_version
        if is_active:
            self._episode, self._is_acknowledged = timestamp_ms, False
            self._parts, self._threshold = parts, threshold
        return self._step(self._kind.state if is_active else self._kind.cleared_state, timestamp_ms)

    def acknowledge(self) -> None:
        """Stop the reminders of the present alert."""
        self._is_acknowledged = True

    def tick(self, now: int) -> Transition | None:
        """Return a reminder when the time for one has come."""
        is_due = self._reminder is not None and now - self._published_at >= self._reminder
        if not is_due or self.state != ALERT or self._is_acknowledged:
            return None
        return self._step(self.state, now, is_reminder=True)

    def as_reminder(self, timestamp_ms: int) -> Transition:
        """Return the present state as a reminder of it, and change nothing."""
        return self._transition(self.state, timestamp_ms, is_reminder=True)

    def _step(self, state: State, timestamp_ms: int, *, is_reminder: bool = False) -> Transition:
        step = self._transition(state, timestamp_ms, is_reminder=is_reminder)
        self.state, self._published_at = state, timestamp_ms
        return step

    def _transition(self, state: State, timestamp_ms: int, *, is_reminder: bool) -> Transition:
        return Transition(
            identity=Identity(self._filter, self.student_version, self._kind.stratum),
            episode=self._episode,
            state=state,
            previous_state=self.state,
            reason=self._kind.reason,
            severity=self._kind.severity if state == self._kind.state else "info",
            cause=self._kind.cause,
            position=timestamp_ms,
            value=self._parts[0].size if self._parts else 0.0,
            threshold=self._threshold,
            parts=self._parts,
            last_published=self.state,
            is_reminder=is_reminder,
        )

    def snapshot(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "student_version": self.student_version,
            "episode": self._episode,
            "published_at": self._published_at,
            "acknowledged": self._is_acknowledged,
            "threshold": self._threshold,
            "parts": [[part.name, part.share, part.size] for part in self._parts],
        }

    def resume(self, snapshot: Mapping[str, Any]) -> None:
        """Continue from the state of a snapshot."""
        self.state, self.student_version = snapshot["state"], snapshot["student_version"]
        self._episode, self._published_at = snapshot["episode"], snapshot["published_at"]
        self._is_acknowledged, self._threshold = snapshot["acknowledged"], snapshot["threshold"]
        self._parts = tuple(ConditionPart(*part) for part in snapshot["parts"])
