"""The transition that a monitor makes, or would make now, from its state and its test.

Changes nothing, and does not know when a monitor takes which step; `stratum_monitor` does.
"""

from __future__ import annotations

from newsieve.drift.monitor_state import (
    ALERT_AT,
    INCIDENT,
    OK,
    SUSPENDED,
    THRESHOLDS,
    WARMING,
    WARNING,
    Identity,
    LabelSummary,
    MonitorState,
    Transition,
    TransitionReason,
)
from newsieve.drift.sequential_test import SequentialTest
from newsieve_schemas.drift import Severity, State


def transition(
    identity: Identity,
    current: MonitorState,
    test: SequentialTest | None,
    next_state: State,
    reason: TransitionReason,
    position: int,
) -> Transition:
    """Return the transition from the current state to the next, perhaps the same."""
    estimates = test.recent_estimates() if test else None
    parts = test.parts(estimates) if test and next_state not in (OK, WARMING, SUSPENDED) else ()
    return Transition(
        identity=identity,
        episode=current.episode,
        state=next_state,
        previous_state=current.state,
        reason=reason,
        severity=severity(next_state, test),
        cause=current.cause,
        position=position,
        value=test.value(next_state) if test else 0.0,
        threshold=THRESHOLDS.get(next_state, ALERT_AT),
        parts=parts,
        labels=LabelSummary(
            tested=test.labels if test else 0,
            recent=estimates.labels if estimates else 0,
            mean_error=test.mean_error(estimates) if test else None,
            onset=test.onset() if test and parts else None,
            oracle_key=current.oracle_key or "",
            other_oracle_key=current.other_oracle_key,
            policy=current.policy,
            examples=test.examples() if test and parts else (),
        ),
        last_published=current.published,
    )


def severity(next_state: State, test: SequentialTest | None) -> Severity:
    """Return how severe a state is; an incident that breaks the service level is critical."""
    if next_state not in INCIDENT:
        return "warning" if next_state in (WARNING, SUSPENDED) else "info"
    return "critical" if test and test.breaks_service_level() else "warning"


def current_reason(current: MonitorState, test: SequentialTest | None) -> TransitionReason:
    """Return the reason why a monitor is in its state."""
    if current.state == SUSPENDED:
        return "oracle_changed" if current.other_oracle_key is not None else "no_labels"
    if current.state != WARMING:
        return "evidence"
    if test is not None:
        return "baseline"
    return "rebaseline" if current.collects else "no_baseline"
