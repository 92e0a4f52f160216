"""The list of feeds, read again when its file changes. It does not know how a list is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from newsieve.errors import InputFileInvalid
from newsieve.feeds.feed import Feed
from newsieve.feeds.feed_list import FeedList

LOOK_SECONDS: Final = 5.0  # between two looks at the file
SETTLED_SECONDS: Final = 2.0  # since its last change: whoever writes it may not be done

Signature = tuple[int, int, int]


class FeedSource(Protocol):
    """Which feeds are to be asked."""

    @property
    def feeds(self) -> Sequence[Feed]:
        """The feeds as the list had them when it could be read last."""
        ...

    @property
    def failure(self) -> str | None:
        """Why the list as it is now cannot be read, if it cannot."""
        ...

    def look_again(self) -> bool:
        """Look at the list if it is time to; return whether it had changed and was read, or could
        not be."""
        ...


class FixedFeedList:
    """The feeds that the settings name."""

    failure: str | None = None

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self.feeds = feeds

    def look_again(self) -> bool:
        """Return False: settings are read at the start alone."""
        return False


class WatchedFeedList:
    """The feeds of a file."""

    def __init__(
        self,
        path: Path,
        read: Callable[[Path], FeedList],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Read the list. `clock` is that of the file's times. Raises InputFileInvalid."""
        self._path = path
        self._read = read
        self._clock = clock
        self._looked_at = clock()
        self._signature = self._signature_of_file()  # before it is read: a change is never missed
        self.feeds: Sequence[Feed] = read(path).feeds
        self.failure: str | None = None

    def look_again(self) -> bool:
        """Look at the file if it is time to, as the protocol says."""
        now = self._clock()
        if 0 <= now - self._looked_at < LOOK_SECONDS:
            return False
        self._looked_at = now
        signature = self._signature_of_file()
        if signature == self._signature or self._is_being_written(now):
            return False
        self._signature = signature
        try:
            self.feeds, self.failure = self._read(self._path).feeds, None
        except InputFileInvalid as error:
            self.failure = str(error)
        return True

    def _signature_of_file(self) -> Signature | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _is_being_written(self, now: float) -> bool:
        try:
            age = now - self._path.stat().st_mtime
        except OSError:
            return False
        return 0 <= age < SETTLED_SECONDS
