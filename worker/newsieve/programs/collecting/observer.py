"""Turns the collector's events into metrics, log lines, heartbeats, and news for pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from newsieve.errors import RecordError
from newsieve.kafka.config import Partition
from newsieve.store.rows import Row
from newsieve.stream.logs import get_logger
from newsieve.stream.serve_metrics import ServeMetrics
from newsieve.stream.watchdog import Watchdog

_log = get_logger("serve")


class LoggingCollectorObserver:
    """Observes one collector. `on_news` is called after each commit, by the collector's thread."""

    def __init__(
        self, metrics: ServeMetrics, watchdog: Watchdog, on_news: Callable[[], None]
    ) -> None:
        self._metrics = metrics
        self._watchdog = watchdog
        self._on_news = on_news
        self.lag: Mapping[Partition, int] = {}
        self.is_connected = False

    def heartbeat(self) -> None:
        """Tell the watchdog that the loop is alive."""
        self._watchdog.beat()

    def started(self, partitions: int, records: int) -> None:
        """Log that the topics are read."""
        self.is_connected = True
        _log.info("collector.started", partitions=partitions, records_to_read=records)

    def written(self, rows: Sequence[Row], seconds: float) -> None:
        """Count the rows, and say that there is news."""
        counts: dict[str, int] = {}
        for row in rows:
            kind = type(row).__name__.removesuffix("Row").lower()
            counts[kind] = counts.get(kind, 0) + 1
        self._metrics.written(counts, seconds)
        if rows:
            _log.debug("rows.written", seconds=round(seconds, 3), **counts)
            self._on_news()

    def refused(self, topic: str, partition: int, offset: int, error: RecordError) -> None:
        """Count and log a record that is none of newsieve's."""
        self._metrics.refused(topic)
        _log.debug(
            "record.refused", topic=topic, partition=partition, offset=offset, why=str(error)
        )

    def interrupted(self, reason: str, seconds: float) -> None:
        """Log that the topics cannot be read for now."""
        self.is_connected = False
        _log.warning("collector.interrupted", reason=reason, again_in_seconds=seconds)

    def expired(self, partition: Partition, records: int) -> None:
        """Log that records were removed before they were read."""
        _log.warning("records.expired", topic=partition[0], partition=partition[1], records=records)

    def made_anew(self, partition: Partition, stored: int, end: int) -> None:
        """Log that a topic was made anew."""
        _log.warning(
            "topic.made_anew", topic=partition[0], partition=partition[1], stored=stored, end=end
        )

    def measured(self, lag: Mapping[Partition, int]) -> None:
        """Keep the lag, and set its metric."""
        self.lag = lag
        self._metrics.lag(lag)
