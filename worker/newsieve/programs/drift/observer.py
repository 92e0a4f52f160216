"""Turns the drift loop's events into metrics, log lines and heartbeats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from newsieve.drift.filter_monitor import FilterMonitor
from newsieve.drift.monitor_state import Transition
from newsieve.drift.monitor_status import MonitorStatus, read
from newsieve.stream.logs import get_logger
from newsieve.stream.metrics import DriftMetrics
from newsieve.stream.observer import WorkerObserver
from newsieve.stream.watchdog import Watchdog

_log = get_logger("drift")


class MonitorObserver(WorkerObserver):
    """Watches one drift monitor."""

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

    def told(self, step: Transition) -> None:
        self._drift_metrics.told(step)
        _log.warning(
            "state.changed",
            filter=step.identity.filter,
            stratum=step.identity.stratum,
            state=step.state,
            previous_state=step.last_published,
            severity=step.severity,
            why=step.why,
            cause=step.cause,
        )

    def standing(self, watches: Sequence[FilterMonitor], at_hand: int | None) -> None:
        found = [(watch, _latest(watch)) for watch in watches]  # takes longer than a scrape may see
        self._drift_metrics.standing(at_hand)
        for watch, readings in found:
            for stratum, state in watch.signals().items():
                self._drift_metrics.state(watch.filter.name, stratum, state)
            for reading in readings:
                identity = reading.identity
                self._drift_metrics.state(identity.filter, identity.stratum, reading.standing.state)
                self._drift_metrics.reading(reading)
            for suspects in watch.monitors.suspects.readings()[-1:]:
                self._drift_metrics.suspects(watch.filter.name, suspects)

    def drained(self, left: int) -> None:
        _log.info("monitor.drained", records_committed=self._committed, records_left=left)


def _latest(watch: FilterMonitor) -> list[MonitorStatus]:
    """Of each stratum, the student that was labelled last."""
    found: dict[str, MonitorStatus] = {}
    for monitor in watch.all_monitors.values():
        reading = read(monitor)
        other = found.get(reading.identity.stratum)
        at = reading.standing.last_label_at or 0
        if other is None or at >= (other.standing.last_label_at or 0):
            found[reading.identity.stratum] = reading
    return list(found.values())
