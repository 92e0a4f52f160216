"""The status of a monitor in numbers, as `drift status`, its page and the metrics show it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from newsieve.drift.monitor_state import INCIDENT, WARNING, Identity, MonitorState, StreamPart
from newsieve.drift.recent_labels import LabelHistory
from newsieve.drift.stratum_monitor import StratumMonitor
from newsieve.drift.transitions import severity

DAY_MILLISECONDS: Final = 24 * 60 * 60 * 1_000
# A rate is made of no shorter time: an oracle may spend its day's budget within minutes.
RATE_MILLISECONDS: Final = DAY_MILLISECONDS // 2
NO_SHARES: Final[Mapping[str, float]] = MappingProxyType({})


class MonitorStatus(NamedTuple):
    """The status of one monitor. Without a baseline, only its state and its collected rows say
    something."""

    identity: Identity
    state: MonitorState
    severity: str
    value: float = 0.0  # the evidence of drift; of an incident, that which opened it
    recovery: float = 0.0  # the evidence that it is over
    labels: int = 0  # tested
    collected: int = 0  # of a baseline in the making
    baseline_labels: int = 0
    error: StreamPart | None = None  # the mean absolute error, of the last labels or since the rise
    recent_labels: int = 0
    shares: Mapping[str, float] = NO_SHARES  # of the evidence, by stream
    group_shares: Mapping[str, float] = NO_SHARES  # of the evidence, by the streams' groups
    history: LabelHistory | None = None

    @property
    def labels_kept(self) -> int:
        """The number of recent labels that the monitor still has."""
        return len(self.history.positions) if self.history is not None else 0

    @property
    def span_milliseconds(self) -> int:
        """The time from the first to the last of the labels that the monitor still has."""
        positions = self.history.positions if self.history is not None else []
        return max(positions) - min(positions) if positions else 0

    @property
    def labels_a_day(self) -> float | None:
        """The recent rate of labels, or None if the labels came within too short a time to tell:
        they may have come in a burst."""
        span = self.span_milliseconds
        if span < RATE_MILLISECONDS:
            return None
        return (self.labels_kept - 1) * DAY_MILLISECONDS / span


def monitor_status(monitor: StratumMonitor) -> MonitorStatus:
    """Return the present status of a monitor, which it does not change."""
    test, state = monitor.test, monitor.state
    if test is None:
        return MonitorStatus(
            identity=monitor.identity,
            state=state,
            severity="info",
            collected=monitor.accumulator.labels,
        )
    is_rising = state.state in (WARNING, *INCIDENT)
    estimates = test.recent_estimates() if is_rising else test.window.estimates(None)
    return MonitorStatus(
        identity=monitor.identity,
        state=state,
        severity=severity(state.state, test),
        value=test.evidence().value,
        recovery=test.recovery(),
        labels=test.labels,
        baseline_labels=test.baseline.labels,
        error=test.mean_error(estimates),
        recent_labels=estimates.labels if estimates is not None else 0,
        shares=test.shares(),
        group_shares=test.group_shares(),
        history=test.window.history(),
    )
