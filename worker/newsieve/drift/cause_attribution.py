"""Attributes an alarm to a cause: the student, the oracle, the articles or the serving of scores.

    production  anchors  canaries  unlabelled   cause
    alarm       quiet    same      quiet        concept drift
    alarm       quiet    same      alarm        data drift
    any         alarm    same      any          oracle drift
    any         any      moved     any          serving defect
    quiet       quiet    same      alarm        benign shift

The answer needs anchors that were labelled after the alarm, in an attribution window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from newsieve_schemas.drift import Cause

GUARD_ANCHORS: Final = 40
GUARD_MILLISECONDS: Final = 24 * 60 * 60 * 1_000


@dataclass(frozen=True, slots=True)
class CauseSigns:
    """What else is known when an alarm needs its cause. `anchors_alarm` is None without anchors."""

    anchors_alarm: bool | None
    canaries_moved: bool
    is_shifted: bool


def cause_of_alarm(signs: CauseSigns) -> Cause:
    """Return the cause of an alarm of labelled production articles."""
    if signs.canaries_moved:
        return "serving_defect"
    if signs.anchors_alarm is None:
        return "unknown"
    if signs.anchors_alarm:
        return "oracle_drift"
    return "data_drift" if signs.is_shifted else "concept_drift"


class AttributionWindow:
    """The time between an alarm and its cause: until enough anchors are labelled, or for a day."""

    def __init__(self, anchors: int) -> None:
        """`anchors` is the number of anchors there are; a small set is labelled whole."""
        self._needed = min(anchors, GUARD_ANCHORS)
        self._opened_at: int | None = None
        self._seen = 0

    @property
    def is_open(self) -> bool:
        return self._opened_at is not None

    def open(self, timestamp_ms: int) -> int:
        """Open the window, unless it is open. Returns the number of anchors to be labelled for
        it."""
        if self.is_open:
            return 0
        self._opened_at, self._seen = timestamp_ms, 0
        return self._needed

    def count(self) -> None:
        """Count one anchor that was labelled."""
        self._seen += 1

    def is_over(self, now: int) -> bool:
        if self._opened_at is None:
            return False
        return self._seen >= self._needed or now - self._opened_at >= GUARD_MILLISECONDS

    def close(self) -> None:
        self._opened_at = None

    def snapshot(self) -> dict[str, Any]:
        return {"opened_at": self._opened_at, "seen": self._seen}

    def resume(self, snapshot: Mapping[str, Any]) -> None:
        """Continue from the state of a snapshot."""
        self._opened_at, self._seen = snapshot["opened_at"], snapshot["seen"]
