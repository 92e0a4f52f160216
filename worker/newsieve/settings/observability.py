"""The section `observe` of the settings: metrics, health and logs.

It does not know which program is observed.
"""

from __future__ import annotations

from typing import Final

from pydantic import Field

from newsieve.settings.base import Section
from newsieve.stream.logs import Level

RUNBOOK_URL: Final = "https://newsieve.example/deploy/runbook.md"  # nobody's: it has to be set


class ObserveSettings(Section):
    """Where metrics and health are served, and what is logged."""

    port: int = Field(default=0, ge=0, le=65535, description="0: a free one, logged.")
    host: str = "0.0.0.0"  # noqa: S104 - a scraper is on another machine
    log_level: Level = "info"
    runbook_url: str = Field(
        default=RUNBOOK_URL,
        pattern=r"^https?://[^\s#]+$",
        description="Where people read your copy of deploy/runbook.md; alerts add #section.",
    )
