"""Watches the distribution of all scores, labelled or not, and alerts when articles have shifted.

A filter has one such alert. Sketches are kept for the two latest students, since one takes over
from the other. This state has a snapshot of its own: it changes with every article, and labels are
rare.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from newsieve.drift.condition_alert import ARTICLES, ConditionAlert
from newsieve.drift.data_drift import DataDriftDetector, ScoreSample, Shares
from newsieve.drift.monitor_state import ConditionPart, Transition
from newsieve.filters.registry import Filter
from newsieve_schemas.drift import State

STUDENTS: Final = 2


class ScoreDistributionMonitor:
    """Compares the articles of one filter's students with those of their first days."""

    def __init__(self, filter_: Filter, reminder: int | None) -> None:
        definition = filter_.definition
        self._shape = (
            definition.dimension_names,
            tuple(dict.fromkeys(tier.name for tier in definition.tiers)),
        )
        self._condition = ConditionAlert(filter_.name, ARTICLES, reminder)
        self._students: dict[str, DataDriftDetector] = {}  # the latest student comes last

    @property
    def state(self) -> State:
        return self._condition.state

    def as_reminder(self, timestamp_ms: int) -> Transition:
        """Return the present state as a reminder of it, and change nothing."""
        return self._condition.as_reminder(timestamp_ms)

    def scored(self, article: ScoreSample, student_version: str) -> Transition | None:
        """Count a scored or blocked article; return a transition when a shift begins or end."""
        detector = self._students.get(student_version)
        if detector is None:
            detector = self._students[student_version] = DataDriftDetector(*self._shape)
            if len(self._students) > STUDENTS:
                del self._students[next(iter(self._students))]
        if not detector.add(article):
            return None
        limit = detector.shifts[0].limit if detector.shifts else 0.0
        return self._condition.set(student_version, _parts(detector), limit, article.timestamp_ms)

    def looks_shifted(self, student_version: str) -> bool:
        detector = self._students.get(student_version)
        return detector is not None and detector.looks_shifted()

    def shares(self) -> dict[str, Shares]:
        """Return the shares of tiers of each student."""
        return {name: item.shares() for name, item in self._students.items()}

    def snapshot(self) -> dict[str, Any]:
        students = {name: item.snapshot() for name, item in self._students.items()}
        return {"condition": self._condition.snapshot(), "students": students}

    def resume(self, snapshot: Mapping[str, Any]) -> None:
        """Continue from the state of a snapshot."""
        self._condition.resume(snapshot["condition"])
        for name, item in snapshot["students"].items():
            self._students[name] = DataDriftDetector(*self._shape)
            self._students[name].resume(item)


def _parts(detector: DataDriftDetector) -> tuple[ConditionPart, ...]:
    """Return effects as parts of an alert; their shares are of how far each is beyond its
    limit."""
    total = sum(effect.size / effect.limit for effect in detector.shifts)
    return tuple(
        ConditionPart(name, size / limit / total, size) for name, size, limit in detector.shifts
    )
