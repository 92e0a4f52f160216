"""Turns the drift loop's events into metrics, log lines and heartbeats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from newsieve.drift.filter_monitor import FilterMonitor
from newsieve.drift.monitor_state import Transition
from newsieve.drift.monitor_status import MonitorStatus, monitor_status
from newsieve.drift.suspect_labels import SuspectStatus
from newsieve.filters.sampling import SUSPECT
from newsieve.stream.logs import get_logger
from newsieve.stream.metrics import DriftMetrics
from newsieve.stream.observer import WorkerObserver
from newsieve.stream.watchdog import Watchdog

_log = get_logger("drift")


class MonitorObserver(WorkerObserver):
    """Observes one drift loop."""

    def __init__(
        self,
        metrics: DriftMetrics,
        watchdog: Watchdog,
        lag: Callable[[], Mapping[tuple[str, int], int]],
    ) -> None:
        super().__init__(metrics, watchdog, lag)
        self._drift_metrics = metrics

    def resumed(self, states: int, partitions: int) -> None:
        _log.info("monitor.resumed", states=states, partitions=partitions)

    def alert_published(self, step: Transition) -> None:
        self._drift_metrics.alert_published(step.identity.filter, step.state)
        _log.warning(
            "state.changed",
            filter=step.identity.filter,
            stratum=step.identity.stratum,
            state=step.state,
            previous_state=step.last_published,
            severity=step.severity,
            why=step.reason,
            cause=step.cause,
        )

    def measured(self, monitors: Sequence[FilterMonitor], buffered: int | None) -> None:
        """Set the metrics of all monitors at once: computing them first takes longer than a scrape
        should see half of them."""
        statuses = [(monitor, _latest(monitor)) for monitor in monitors]
        self._drift_metrics.at_work(buffered)
        for monitor, latest in statuses:
            for stratum, state in monitor.shared_states().items():
                self._drift_metrics.state(monitor.filter.name, stratum, state)
            for status in latest:
                set_status(self._drift_metrics, status)
            for suspects in monitor.monitors.suspects.statuses()[-1:]:
                set_suspects(self._drift_metrics, monitor.filter.name, suspects)

    def drained(self, buffered: int) -> None:
        _log.info("monitor.drained", records_committed=self._committed, records_left=buffered)


def set_status(metrics: DriftMetrics, status: MonitorStatus) -> None:
    """Set the metrics of one stratum's monitor."""
    where, state = (status.identity.filter, status.identity.stratum), status.state
    metrics.state(*where, state.state)
    metrics.severity(*where, is_critical=status.severity == "critical")
    metrics.evidence(*where, status.value)
    metrics.labels(*where, status.labels, state.last_label_at)
    error = status.error
    if error is not None:
        metrics.error(
            *where,
            estimate=error.estimate,
            low=error.low,
            high=error.high,
            usual=error.baseline,
        )


def set_suspects(metrics: DriftMetrics, filter_name: str, suspects: SuspectStatus) -> None:
    """Set the metrics of one filter's suspect articles."""
    metrics.labels(filter_name, SUSPECT, suspects.labels)
    if suspects.error is not None:
        metrics.error(filter_name, SUSPECT, estimate=suspects.error)


def _latest(filter_monitor: FilterMonitor) -> list[MonitorStatus]:
    """Return the status of each stratum's monitor, of the student that was labelled last."""
    latest: dict[str, MonitorStatus] = {}
    for monitor in filter_monitor.monitors.by_identity.values():
        status = monitor_status(monitor)
        other = latest.get(status.identity.stratum)
        last_label_at = status.state.last_label_at or 0
        if other is None or last_label_at >= (other.state.last_label_at or 0):
            latest[status.identity.stratum] = status
    return list(latest.values())
