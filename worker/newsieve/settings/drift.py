"""The section `drift` of the settings: how the drift monitor tests, and when it reports.

It knows nothing of the statistics behind the values.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import Field

from newsieve.settings.base import MOST, Positive, Section

GROUP_PATTERN: Final = r"^[A-Za-z0-9._-]{1,200}$"


class DriftSettings(Section):
    """What the drift monitor compares labels with, and when it reports."""

    anchors: Path | None = Field(
        default=None,
        description="Frozen articles, labelled twice or more by the accepted oracle: lines of "
        "`newsieve oracle label`. Without them no alert knows its cause.",
    )
    silence_hours: Positive = Field(
        default=48,
        le=10_000,
        description="Without a label for as long a monitor is suspended; 100 calls a day are 19 "
        "labels a day for each of four.",
    )
    rebaseline_labels: int = Field(
        default=200, ge=30, le=MOST, description="That an operator's new baseline is made of."
    )
    commit_seconds: Positive = Field(
        default=60,
        le=3_600,
        description="Oldest a state gets while nobody waits for it; alerts are published at once.",
    )
    group: str = Field(default="newsieve-drift", pattern=GROUP_PATTERN)
    slot: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="Stable per replica, as the worker's. One of a group is at work.",
    )
