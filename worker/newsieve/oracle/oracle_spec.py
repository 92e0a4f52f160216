"""Which oracle is asked, with which prompts and at what price, and how many articles at a time.

Knows neither requests nor calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from newsieve.oracle.failure_streak import ANY_FAILURES
from newsieve.oracle.labeling_task import FAILED_CALLS
from newsieve.oracle.prompt import OracleConfig, Prompt
from newsieve.oracle.providers.base import Prices

# Articles that are claimed and not settled, per call at a time: how many a slow one holds up.
WINDOW: Final = 2
NO_FURTHER_CALL: Final = "the budget has no further call for it"


@dataclass(frozen=True, slots=True)
class OracleSpec:
    """Who is asked, with which prompts (by name/vN), and at what price."""

    config: OracleConfig
    prompts: Mapping[str, Prompt]
    prices: Prices
    concurrency: int


def window(concurrency: int, *, is_waited: bool) -> int:
    """Returns how many articles are begun at a time. Where one waits for how others fare, there are
    as many more as that can take: some in each of its calls."""
    more = max(ANY_FAILURES, FAILED_CALLS * concurrency) if is_waited else 0
    return WINDOW * concurrency + more
