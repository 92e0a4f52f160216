"""Drift alerts, the monitor's state, operators' decisions and canary reports."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from newsieve_schemas.base import Written
from newsieve_schemas.scored import Hash, Probability, Timestamp

State = Literal[
    "warming", "ok", "pending", "warning", "alert", "recovering", "resolved", "suspended"
]
Severity = Literal["info", "warning", "critical"]
Cause = Literal[
    "concept_drift", "data_drift", "oracle_drift", "serving_defect", "benign_shift", "unknown"
]
Interval = Annotated[list[float], Field(min_length=2, max_length=2)]


class Evidence(Written):
    """The test statistic and what it guarantees."""

    value: float
    threshold: float
    guarantee: str


class StreamEstimate(Written):
    """One monitored stream's part in an alert."""

    name: str
    share: Probability = Field(description="Of the evidence.")
    baseline: float
    estimate: float
    interval: Interval = Field(description="95 %.")


class NextAction(Written):
    """What to do now."""

    text: str
    runbook: str = Field(description="The address of the section that says more.")
    command: str


class DriftAlert(Written):
    """A transition of one monitor. It explains itself."""

    incident_id: str
    fingerprint: str
    state: State
    previous_state: State
    severity: Severity
    filter: str
    filter_version: str
    filter_hash: Hash
    label_hash: Hash
    student: Hash
    oracle_key: str
    scope: Literal["low", "surfaced", "all"]
    headline: str
    evidence: Evidence
    streams: list[StreamEstimate] = Field(description="Sorted by share, largest first.")
    labels: int = Field(ge=0, description="Labels tested since the baseline.")
    onset: list[Timestamp] | None = Field(description="Earliest and latest likely start.")
    cause: Cause
    sampling_policy: str
    example_article_ids: list[str]
    action: NextAction
    raised_at: Timestamp
    repeated: bool = Field(description="Told again, at most daily: no transition.")


class DriftReplayLine(Written):
    """`newsieve drift replay`: a transition, found in a file."""

    line: int = Field(ge=0, description="0-based, of the label that led to it.")
    filter: str
    student_version: str
    stratum: str
    state: State
    previous_state: State
    severity: Severity
    incident_id: str
    oracle_key: str
    headline: str
    evidence: Evidence
    streams: list[StreamEstimate] = Field(description="Sorted by share, largest first.")
    labels: int = Field(ge=0, description="Labels tested since the baseline.")
    onset: list[int] | None = Field(description="Earliest and latest likely start, 0-based lines.")
    cause: Cause
    example_article_ids: list[str]
    action: NextAction


class DriftReplayError(Written):
    """`newsieve drift replay`: what stands in the place of a line that is no label."""

    line: int = Field(ge=0, description="0-based.")
    error: str
    message: str


class DriftState(Written):
    """Latest state of one monitor and the snapshot it resumes from. Compacted by fingerprint."""

    fingerprint: str
    state: State
    incident_id: str | None
    filter: str
    student: Hash
    scope: Literal["low", "surfaced", "all"]
    oracle_key: str
    detector: dict[str, Any] = Field(description="Opaque to readers.")
    updated_at: Timestamp


class ControlDecision(Written):
    """A decision on `articles.control`. The latest one per scope counts.

    Most are an operator's. `dead_letters_replayed` and `oracle_calls_claimed` are programs' own
    notes of what must not be done, or paid for, twice.
    """

    scope: str = Field(description="The record's key: what the decision is about.")
    decision: Literal[
        "accept_oracle",
        "reject_oracle",
        "rebaseline",
        "acknowledge",
        "dead_letters_replayed",
        "oracle_calls_claimed",
    ]
    arguments: dict[str, Any]
    decided_by: str | None
    decided_at: Timestamp


class CanaryScore(Written):
    """One fixed text, scored again by the running student."""

    id: str
    expected: dict[str, float]
    scores: dict[str, float]
    difference: float = Field(ge=0, description="Largest absolute difference.")


class CanaryReport(Written):
    """Does the running student still give the scores of the machine that trained it?"""

    filter: str
    filter_version: str
    student: Hash
    device: str
    dtype: str
    tolerance: float = Field(gt=0)
    passed: bool
    canaries: list[CanaryScore]
    reported_at: Timestamp
