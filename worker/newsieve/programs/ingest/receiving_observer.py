"""Turns what the loop of `newsieve ingest http` reports into metrics, log lines and heartbeats.

It does not decide anything.
"""

from __future__ import annotations

from newsieve.stream.ingest_http_metrics import IngestHttpMetrics
from newsieve.stream.logs import get_logger
from newsieve.stream.transaction_counts import AbortFault
from newsieve.stream.watchdog import Watchdog

_log = get_logger("ingest")


class LoggingReceivingObserver:
    """The observer of one receiving loop."""

    def __init__(self, metrics: IngestHttpMetrics, watchdog: Watchdog) -> None:
        self._metrics = metrics
        self._watchdog = watchdog

    def heartbeat(self) -> None:
        """Tell the watchdog that the loop is alive."""
        self._watchdog.beat()

    def committed(self, requests: int, articles: int, seconds: float) -> None:
        """Count and log a committed transaction."""
        self._watchdog.beat()
        self._metrics.committed(articles, seconds)
        _log.info(
            "transaction.committed",
            requests=requests,
            articles=articles,
            seconds=round(seconds, 3),
        )

    def aborted(self, reason: str, fault: AbortFault) -> None:
        """Count and log an aborted transaction."""
        self._watchdog.beat()
        self._metrics.aborted(fault)
        _log.warning("transaction.aborted", fault=fault, reason=reason)

    def outcome_unknown(self, requests: int, articles: int, reason: str) -> None:
        """Count and log a transaction of which nobody knows whether it was committed."""
        self._watchdog.beat()
        self._metrics.outcome_unknown(articles)
        _log.error(
            "transaction.outcome_unknown", requests=requests, articles=articles, reason=reason
        )
