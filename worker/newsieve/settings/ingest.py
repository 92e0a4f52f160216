"""The section `ingest` of the settings: where articles come from, and how patiently it is asked.

It does not know how a feed is read.
"""

from __future__ import annotations

from pydantic import Field

from newsieve.settings.base import Section


class IngestSettings(Section):
    """What `newsieve ingest` reads, and how."""

    slot: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="Stable per replica; part of the transactional id.",
    )
    group: str = Field(
        default="newsieve-ingest",
        pattern=r"^[A-Za-z0-9._-]{1,200}$",
        description="Ingesters of one group share the feeds.",
    )
