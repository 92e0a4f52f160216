"""Finds the line of a TOML text at which a key is set, for messages about that key.

tomllib tells no positions, but a text that ends between two statements is TOML as well, and has
the keys that were set so far. Knows no filters.
"""

from __future__ import annotations

import tomllib
from typing import Any, Final

# Parsed in all for one text; a usual filter of 11 KB needs a tenth for ten keys. Takes about 2 s.
MOST_CHARACTERS: Final = 4_000_000
_UNFINISHED: Final = object()

Key = tuple[int | str, ...]


class KeyLines:
    """The lines of one valid TOML text's keys. Use from one thread."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines(keepends=True)
        self._parsed: dict[int, Any] = {}
        self._characters_left = MOST_CHARACTERS

    def line_of(self, key: Key) -> int | None:
        """Return the line, counted from 1, of the statement that sets a key.

        Where the key is missing, it is the line of the innermost table that should have it. Returns
        None for the whole text, and where it is too large to be searched.
        """
        try:
            whole = self._beginning(len(self._lines))
            while key and not _has(whole, key):
                key = key[:-1]
            return self._first_line_with(key) if key else None
        except _TooLarge:
            return None

    def _first_line_with(self, key: Key) -> int:
        """Bisect between a beginning without the key and one that has it, both of whole
        statements."""
        without, having = 0, len(self._lines)
        while having - without > 1:
            middle = (without + having) // 2
            ends = (*range(middle, without, -1), *range(middle + 1, having))
            end = next((end for end in ends if self._beginning(end) is not _UNFINISHED), None)
            if end is None:  # one statement over all these lines
                break
            without, having = (without, end) if _has(self._beginning(end), key) else (end, having)
        return without + 1

    def _beginning(self, end: int) -> Any:
        """Return what the first lines set, or _UNFINISHED."""
        if end not in self._parsed:
            text = "".join(self._lines[:end])
            self._characters_left -= len(text)
            if self._characters_left < 0:
                raise _TooLarge
            try:
                self._parsed[end] = tomllib.loads(text)
            except ValueError:
                self._parsed[end] = _UNFINISHED
        return self._parsed[end]


class _TooLarge(Exception):
    """The text has cost as much as it may."""


def _has(value: Any, key: Key) -> bool:
    for step in key:
        is_there = (
            step in value
            if isinstance(value, dict)
            else isinstance(value, list) and isinstance(step, int) and step < len(value)
        )
        if not is_there:
            return False
        value = value[step]
    return True
