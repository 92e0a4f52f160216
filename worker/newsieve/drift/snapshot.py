"""Snapshots of a filter's monitoring, one for each part of it, which a commit stores.

Knows neither how a part makes its snapshot nor how the record of one is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from newsieve.drift.monitor_state import Identity
from newsieve_schemas.drift import State

# Strata of the parts that monitors share: one changes with labels, the other with articles.
FILTER_STATE: Final = "watch"
DISTRIBUTIONS: Final = "sketches"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of one monitor, or of a part that all monitors of a filter share.

    Shared parts have the stratum FILTER_STATE or DISTRIBUTIONS. A monitor without `detector` has
    been retired.
    """

    identity: Identity
    state: State
    episode: int
    oracle_key: str
    detector: dict[str, Any] | None
