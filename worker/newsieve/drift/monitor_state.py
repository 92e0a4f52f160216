"""The states of a monitor, what leads from one to another, and the record of such a step.

    warming → ok ⇄ pending ⇄ warning → alert → recovering → resolved → ok
    any but warming → suspended → where it was, or warming under an accepted oracle

A level is entered at its threshold and left below half of it. An alert latches: only evidence of
recovery ends it, and the next one comes only after `resolved`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from newsieve.drift.error_streams import Stream
from newsieve_schemas.drift import Cause, Severity, State

WARMING: Final[State] = "warming"
OK: Final[State] = "ok"
PENDING: Final[State] = "pending"
WARNING: Final[State] = "warning"
ALERT: Final[State] = "alert"
RECOVERING: Final[State] = "recovering"
RESOLVED: Final[State] = "resolved"
SUSPENDED: Final[State] = "suspended"

# Thresholds of evidence: n healthy labels reach one n / threshold times on average, at most.
PENDING_AT: Final = 200.0
WARNING_AT: Final = 2_000.0
ALERT_AT: Final = 10_000.0
RECOVERING_AT: Final = 1_000.0
RESOLVED_AT: Final = 2_000.0
LEAVE: Final = 0.5  # share of a level's threshold below which the level is left

THRESHOLDS: Final[dict[State, float]] = {
    PENDING: PENDING_AT,
    WARNING: WARNING_AT,
    ALERT: ALERT_AT,
    RECOVERING: RECOVERING_AT,
    RESOLVED: RESOLVED_AT,
}
LEVELS: Final[tuple[State, ...]] = (ALERT, WARNING, PENDING)
INCIDENT: Final = frozenset({ALERT, RECOVERING})
SILENCED: Final = frozenset({OK, PENDING, WARNING, RESOLVED})  # an incident stays what it is
REMINDED: Final = frozenset({ALERT, RECOVERING, SUSPENDED})
CALM: Final = frozenset({WARMING, OK, RESOLVED})

UNKNOWN: Final[Cause] = "unknown"

TransitionReason = Literal[
    "evidence",  # there is evidence of drift, or of recovery
    "baseline",  # there is a baseline now
    "no_baseline",  # there is none, and nobody has asked for one
    "rebaseline",  # an operator has asked for a new one
    "oracle_changed",
    "no_labels",
    "labels_again",
    "rejected",  # an operator has rejected the other oracle
    "replaced",  # another student has taken over
    "canaries",  # canaries have moved, or are reproduced again
    "articles",  # articles have shifted, or are as they were
]


class Identity(NamedTuple):
    """The identity of a monitor. Files name strata as they like; a live stratum is low or surfaced,
    and suspect articles have no monitor."""

    filter: str
    student_version: str
    stratum: str


@dataclass(frozen=True, slots=True)
class StreamPart:
    """A stream's share of the evidence, its estimate from recent labels and the estimate's 95 %
    interval."""

    stream: Stream
    share: float
    baseline: float
    estimate: float
    low: float
    high: float

    @property
    def name(self) -> str:
        """The stream's name in records."""
        return self.stream.name


@dataclass(frozen=True, slots=True)
class ConditionPart:
    """One measured size that makes a condition active. It is no estimate."""

    name: str
    share: float
    size: float


@dataclass(frozen=True, slots=True)
class LabelSummary:
    """What the labels of a stratum's monitor say beside the evidence. The defaults are those of an
    alert that no labels are behind."""

    tested: int = 0
    recent: int = 0  # those that the estimates are from
    mean_error: StreamPart | None = None  # of the stream `mae`, whatever its share
    onset: tuple[int, int] | None = None  # the earliest and latest likely position
    oracle_key: str = ""
    other_oracle_key: str | None = None  # the oracle that suspended the monitor
    policy: str = ""  # of sampling
    examples: tuple[str, ...] = ()  # ids of articles


@dataclass(frozen=True, slots=True)
class Transition:
    """A monitor's step from one state to another, with all that explains it.

    Positions are line numbers or milliseconds, as those of labels are.
    """

    identity: Identity
    episode: int  # the position at which the monitor left calm: with the identity, an incident
    state: State
    previous_state: State
    reason: TransitionReason
    severity: Severity
    cause: Cause
    position: int
    value: float
    threshold: float  # what `value` is held against
    parts: tuple[StreamPart, ...] | tuple[ConditionPart, ...]  # the largest share first
    last_published: State  # what was published before it
    labels: LabelSummary = LabelSummary()
    is_reminder: bool = False

    @property
    def is_published(self) -> bool:
        """Whether a live monitor publishes the transition: not the state `pending`, which only
        status and metrics show, and not the way back from there to the state that was published
        last."""
        is_back = self.previous_state == PENDING and self.state == self.last_published
        return self.state != PENDING and not is_back


@dataclass(frozen=True, slots=True)
class MonitorConfig:
    """The settings of a monitor that differ between a file and a live stream. None means never."""

    awaits_causes: bool = False  # an alarm waits for its cause before it is an alert
    silence: int | None = None  # time without labels after which a monitor is suspended
    reminder: int | None = None  # time after which an open incident is published again
    rebaseline_labels: int = 200  # labels that an operator's new baseline is made of
    cause: Cause = UNKNOWN  # the cause of an alarm that does not wait for one


@dataclass(slots=True)
class MonitorState:
    """All that a monitor remembers, but for its reference rows and its test."""

    state: State = WARMING
    awaits_cause: bool = False  # an alarm has no cause yet
    has_begun: bool = False  # a label has come, after which no reference row is taken
    collects: bool = False  # labels make a new baseline, for which an operator has asked
    last_label_at: int | None = None
    oracle_key: str | None = None  # of the accepted oracle; None: the first label's will be
    other_oracle_key: str | None = None  # of the oracle that suspended the monitor
    rejected: list[str] = field(default_factory=list)  # keys of rejected oracles
    cause: Cause = UNKNOWN
    episode: int = 0  # the position at which it last left calm
    before: State = WARMING  # the state before a suspension
    policy: str = ""  # the sampling policy of the last label
    published: State = WARMING  # the last state other than `pending`
    published_at: int = 0
    published_severity: Severity = "info"
    is_acknowledged: bool = False

    def accept(self, oracle_key: str) -> None:
        """Accept an oracle, and reject the one before it, so that its late labels suspend
        nothing."""
        keys = (*self.rejected, self.oracle_key)
        self.rejected = [key for key in keys if key is not None and key != oracle_key]
        self.oracle_key = oracle_key

    def acknowledge(self) -> None:
        """Mark the open incident or suspension as known, which stops its reminders."""
        self.is_acknowledged = self.is_acknowledged or self.state in REMINDED

    def after_suspension(self) -> State:
        """Return the state to go on in. An incident stays acknowledged only if it was one
        before."""
        self.is_acknowledged = self.is_acknowledged and self.before in REMINDED
        return OK if self.before == RESOLVED else self.before


def level(value: float, state: State) -> State:
    """Return the state that so much evidence leads to from the given one, outside of incidents."""
    reached = next((name for name in LEVELS if value >= THRESHOLDS[name]), OK)
    is_falling = state in LEVELS and THRESHOLDS[state] > THRESHOLDS.get(reached, 0.0)
    return state if is_falling and value >= LEAVE * THRESHOLDS[state] else reached
