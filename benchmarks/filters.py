"""The filters that newsieve brings along, whatever the working directory holds.

Knows nothing of what is measured with them.
"""

from __future__ import annotations

from newsieve.filters.registry import BUILTIN_FOLDER, FilterRegistry

BUILTIN = FilterRegistry((BUILTIN_FOLDER,))
load = BUILTIN.load
