"""Remembers which of the operators' decisions were carried out, so that each is carried out once.

Decisions are read again when a consumer group begins anew. Carried out twice, one would throw away
a new baseline, which costs as many labels again. So the latest decision of each scope is
remembered. A new baseline may be decided before a monitor's first label; it is then made of the
first labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from newsieve.drift.monitor_state import Identity, Transition
from newsieve.drift.stratum_monitor import StratumMonitor

DecisionKind = Literal["accept_oracle", "reject_oracle", "rebaseline", "acknowledge"]
REMEMBERED: Final = 32  # scopes: a filter has a few, and each student adds some


@dataclass(frozen=True, slots=True)
class Decision:
    """An operator's decision. Without a student or a stratum it is about all of the filter's
    monitors."""

    kind: DecisionKind
    timestamp_ms: int
    oracle_key: str = ""
    student_version: str | None = None
    stratum: str | None = None
    scope: str = ""  # the latest one of a scope counts

    def is_about(self, identity: Identity) -> bool:
        return self.student_version in (None, identity.student_version) and self.stratum in (
            None,
            identity.stratum,
        )


class DecisionLog:
    """The decisions that were carried out, and the new baselines of monitors that are yet to
    come."""

    def __init__(self) -> None:
        self._latest: dict[str, int] = {}
        self._ahead: list[tuple[str, str]] = []  # students and strata

    def latest(self, scope: str) -> int:
        """Return the time of the last decision of a scope, -1 where there is none."""
        return self._latest.get(scope, -1)

    def is_new(self, decision: Decision) -> bool:
        """Return whether a decision was not carried out before, and remember that it is now."""
        if decision.timestamp_ms <= self.latest(decision.scope):
            return False
        self._latest.pop(decision.scope, None)
        self._latest[decision.scope] = decision.timestamp_ms
        if len(self._latest) > REMEMBERED:
            del self._latest[next(iter(self._latest))]
        return True

    def rebaseline_ahead(self, identity: Identity) -> None:
        """Remember that a monitor's first labels are to make its baseline."""
        if not self._is_ahead(identity):
            self._ahead = [*self._ahead[1 - REMEMBERED :], _short(identity)]

    def wants_baseline(self, identity: Identity) -> bool:
        """Return whether the first labels of a monitor are to make its baseline, and forget
        it."""
        is_ahead = self._is_ahead(identity)
        self._ahead = [item for item in self._ahead if item != _short(identity)]
        return is_ahead

    def _is_ahead(self, identity: Identity) -> bool:
        return _short(identity) in self._ahead

    def snapshot(self) -> dict[str, Any]:
        return {"latest": self._latest, "ahead": self._ahead}

    def resume(self, snapshot: Mapping[str, Any]) -> None:
        """Continue from the state of a snapshot."""
        self._latest = dict(snapshot["latest"])
        self._ahead = [(student, stratum) for student, stratum in snapshot["ahead"]]


def decide(monitor: StratumMonitor, decision: Decision) -> Transition | None:
    """Carry out a decision on one monitor."""
    if decision.kind == "accept_oracle":
        return monitor.accept(decision.oracle_key, decision.timestamp_ms)
    if decision.kind == "reject_oracle":
        return monitor.reject(decision.oracle_key, decision.timestamp_ms)
    if decision.kind == "rebaseline":
        return monitor.rebaseline(decision.timestamp_ms)
    monitor.acknowledge()
    return None


def _short(identity: Identity) -> tuple[str, str]:
    return identity.student_version, identity.stratum
