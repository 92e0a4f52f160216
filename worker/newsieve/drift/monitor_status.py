"""The status of a monitor in numbers, as `drift status`, its page and the metrics show it."""

from __future__ import annotations

from typing import Final, NamedTuple

from newsieve.drift.monitor_state import INCIDENT, WARNING, Identity, MonitorState, StreamPart
from newsieve.drift.recent_labels import LabelHistory
from newsieve.drift.stratum_monitor import StratumMonitor
from newsieve.drift.transitions import severity

DAY_MILLISECONDS: Final = 24 * 60 * 60 * 1_000
# A rate is made of no shorter time: an oracle may spend its day's budget within minutes.
RATE_MILLISECONDS: Final = DAY_MILLISECONDS // 2


class MonitorStatus(NamedTuple):
    """The status of one monitor. Without a baseline, only its state and its collected rows say
    something."""

    identity: Identity
    state: MonitorState
    severity: str
    value: float  # the evidence of drift; of an incident, that which opened it
    recovery: float  # the evidence that it is over
    labels: int  # tested
    collected: int  # of a baseline in the making
    baseline_labels: int
    error: StreamPart | None  # the mean absolute error, of the last labels or since the rise
    recent_labels: int
    shares: dict[str, float]  # of the evidence, by stream
    group_shares: dict[str, float]  # of the evidence, by the streams' groups
    history: LabelHistory | None

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
    """Returns the present status of a monitor, which it does not change."""
    test, state = monitor.test, monitor.state
    if test is None:
        known = (0.0, 0.0, 0, monitor.accumulator.labels, 0, None, 0)
        return MonitorStatus(monitor.identity, state, "info", *known, {}, {}, None)
    is_rising = state.state in (WARNING, *INCIDENT)
    estimates = test.recent_estimates() if is_rising else test.window.estimates(None)
    return MonitorStatus(
        monitor.identity,
        state,
        severity(state.state, test),
        test.evidence().value,
        test.recovery(),
        test.labels,
        0,
        test.baseline.labels,
        test.mean_error(estimates),
        estimates.labels if estimates is not None else 0,
        test.shares(),
        test.group_shares(),
        test.window.history(),
    )
