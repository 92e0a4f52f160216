"""What a monitor says at a step, or would say now: from its standing and its trial.

Changes nothing, and does not know which steps there are; `monitor` does.
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
    MonitorState,
    Transition,
    Why,
)
from newsieve.drift.sequential_test import SequentialTest
from newsieve_schemas.drift import Severity, State


def transition(
    identity: Identity,
    here: MonitorState,
    trial: SequentialTest | None,
    state: State,
    why: Why,
    at: int,
) -> Transition:
    """From where it stands into a state, perhaps the same."""
    recent = trial.recent() if trial else None
    parts = trial.parts(recent) if trial and state not in (OK, WARMING, SUSPENDED) else ()
    return Transition(
        identity=identity,
        episode=here.episode,
        state=state,
        previous_state=here.state,
        why=why,
        severity=severity(state, trial),
        cause=here.cause,
        at=at,
        value=trial.value(state) if trial else 0.0,
        threshold=THRESHOLDS.get(state, ALERT_AT),
        parts=parts,
        mean_error=trial.mean_error(recent) if trial else None,
        labels=trial.labels if trial else 0,
        recent_labels=recent.labels if recent else 0,
        onset=trial.onset() if trial and parts else None,
        oracle_key=here.oracle_key or "",
        other_oracle_key=here.other_oracle_key,
        policy=here.policy,
        examples=trial.examples() if trial and parts else (),
        last_published=here.published,
    )


def severity(state: State, trial: SequentialTest | None) -> Severity:
    if state not in INCIDENT:
        return "warning" if state in (WARNING, SUSPENDED) else "info"
    return "critical" if trial and trial.breaks_service_level() else "warning"


def reason(here: MonitorState, trial: SequentialTest | None) -> Why:
    """Why it is where it is."""
    if here.state == SUSPENDED:
        return "oracle_changed" if here.other_oracle_key is not None else "no_labels"
    if here.state != WARMING:
        return "evidence"
    if trial is not None:
        return "baseline"
    return "rebaseline" if here.collects else "no_baseline"
