"""What pages, feeds and the API are made from: the store, the filters, the news, and what is known
of the topics. Built once by `bootstrap`; routes take what they need. It knows no route.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from newsieve.filters.registry import Filter
from newsieve.programs.drift.current_state import CurrentState, MonitorGroup
from newsieve.settings.loader import Settings
from newsieve.store.reader import StoreReader
from newsieve.web.access import Access
from newsieve.web.hub import NewsHub
from newsieve.web.refreshed import Refreshed
from newsieve.web.sse import EventStreams


class TopicsStatus(Protocol):
    """What is known of the topics that the store is filled from."""

    @property
    def is_connected(self) -> bool:
        """Whether the topics are read now; otherwise pages are as old as the store is."""
        ...

    @property
    def lag(self) -> Mapping[tuple[str, int], int]:
        """The records behind what the store has, by topic and partition."""
        ...


class DriftReport(NamedTuple):
    """What the state topic says of all monitors, and when it was read, in milliseconds."""

    current: CurrentState
    group: MonitorGroup
    read_ms: int


@dataclass(frozen=True, slots=True)
class Site:
    """What the routes share. `filters` are those of `worker.filters`, by name, as they are on this
    machine; `worker_lag` gives the number of raw records that the workers have not scored, None
    where nobody says. `drift` is the state of the monitors as far as it is known; `student_folders`
    are those of the filters' students, by the filter's name."""

    settings: Settings
    filters: Mapping[str, Filter]
    reader: StoreReader
    hub: NewsHub
    streams: EventStreams
    access: Access
    topics: TopicsStatus
    worker_lag: Callable[[], int | None]
    drift: Refreshed[DriftReport]
    student_folders: Mapping[str, Path]
