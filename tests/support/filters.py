"""The filters that newsieve brings along, for tests and benchmarks that need any real one.

Knows no settings: a filter of the working directory is never among them.
"""

from __future__ import annotations

from newsieve.filters.registry import BUILTIN_FOLDER, FilterRegistry

BUILTIN = FilterRegistry((BUILTIN_FOLDER,))
load = BUILTIN.load
