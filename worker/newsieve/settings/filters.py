"""The section of the settings for filters: where they are looked for.

Knows neither what a filter says nor which of them are at work.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import Field

from newsieve.filters.registry import BUILTIN_FOLDER, FilterRegistry
from newsieve.settings.base import FromCommas, Section


class FilterSettings(Section):
    """Where filters are looked for."""

    path: Annotated[tuple[Path, ...], FromCommas] = Field(
        default=(Path("filters"),),
        description="Folders with filters, <name>/v<N>/filter.toml; the first that has one wins. "
        "Those that newsieve brings along come last.",
    )

    @cached_property
    def registry(self) -> FilterRegistry:
        """Finds filters in these folders, then among the built-in ones."""
        return FilterRegistry((*self.path, BUILTIN_FOLDER))
