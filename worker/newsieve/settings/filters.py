"""The section `filters` of the settings: the folders in which filters are looked for.

It knows neither what a filter says nor which filters a program uses.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import Field

from newsieve.filters.registry import BUILTIN_FOLDER, FilterRegistry
from newsieve.settings.base import FromCommas, Section


class FilterSettings(Section):
    """The search path of filters."""

    path: Annotated[tuple[Path, ...], FromCommas] = Field(
        default=(Path("filters"),),
        description="Folders with filters, <name>/v<N>/filter.toml; the first that has one wins. "
        "Those that newsieve brings along come last.",
    )

    @cached_property
    def registry(self) -> FilterRegistry:
        """The registry that finds filters in these folders, then among the built-in ones."""
        return FilterRegistry((*self.path, BUILTIN_FOLDER))
