"""Yes or no about a whole filter: its canaries have moved, its articles have shifted.

What a monitor is to labels a signal is to these: it steps on a change, and reminds. It needs no
test; a canary that moved is a fact, an effect's size is what counts.
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
    """What a CanaryReport comes to. `difference` is its largest."""

    timestamp_ms: int
    student_version: str
    passed: bool
    difference: float
    tolerance: float


@dataclass(frozen=True, slots=True)
class ConditionKind:
    """State, severity and cause that an active condition is reported with."""

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
    """One condition's alert. Methods return the transition they led to, or None."""

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
        """What is the case now: some parts, the largest first, or none. A step on a change."""
        is_active = bool(parts)
        if is_active == self.is_active:
            return None
        self.student_version = student_version
        if is_active:
            self._episode, self._is_acknowledged = timestamp_ms, False
            self._parts, self._threshold = parts, threshold
        return self._step(self._kind.state if is_active else self._kind.cleared_state, timestamp_ms)

    def acknowledge(self) -> None:
        self._is_acknowledged = True

    def tick(self, now: int) -> Transition | None:
        """Time has passed: a reminder of an alert, perhaps."""
        is_due = self._reminder is not None and now - self._published_at >= self._reminder
        if not is_due or self.state != ALERT or self._is_acknowledged:
            return None
        return self._step(self.state, now, is_reminder=True)

    def as_reminder(self, timestamp_ms: int) -> Transition:
        """What is the case, as a reminder would tell it. Nothing changes."""
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
        """Go on where a snapshot was taken."""
        self.state, self.student_version = snapshot["state"], snapshot["student_version"]
        self._episode, self._published_at = snapshot["episode"], snapshot["published_at"]
        self._is_acknowledged, self._threshold = snapshot["acknowledged"], snapshot["threshold"]
        self._parts = tuple(ConditionPart(*part) for part in snapshot["parts"])
