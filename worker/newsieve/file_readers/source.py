"""The bytes of a file or a pipe as they are stored, of which a reader may look at the first ones
before it reads any.

It knows no format.
"""

from __future__ import annotations

import io
import os
import select
import stat
from collections.abc import Callable
from typing import Any, Final

_LOOK_BYTES: Final = 1 << 16  # in one look
PATIENCE_SECONDS: Final = 0.2  # for a pipe to bring more, before what came is dealt with


class Source(io.RawIOBase):
    """The bytes of one file from its beginning. Wrap it in a buffer to read lines."""

    def __init__(self, raw: io.RawIOBase | io.BytesIO) -> None:
        super().__init__()
        self.head = b""  # what was looked at and not read
        self.before_read: Callable[[bool], None] = lambda _: None
        """Called before each read, with whether the read is likely to wait for somebody who writes
        to a pipe."""
        self._raw = raw
        self._pipe = _pipe_of(raw)
        self._position = 0

    def look_further(self) -> bool:
        """Look at more bytes, as many as are there; return whether there are any more."""
        more = self._raw.read(_LOOK_BYTES)
        self.head += more or b""
        return bool(more)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say whether it can be read again."""
        return self._raw.seekable()

    def tell(self) -> int:
        """Return the position of the byte that is read next."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position that is counted from the beginning."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("positions are counted from the beginning")
        self._position = self._raw.seek(offset)
        self.head = b""
        return offset

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer, as raw streams do."""
        view = memoryview(buffer).cast("B")
        self.before_read(self._waits())
        if self.head:
            part = self.head[: len(view)]
            self.head = self.head[len(part) :]
        else:
            part = self._raw.read(len(view)) or b""
        view[: len(part)] = part
        self._position += len(part)
        return len(part)

    def close(self) -> None:
        """Close the file or the pipe."""
        self._raw.close()
        super().close()

    def _waits(self) -> bool:
        """Whether there is nothing to read, even after a moment."""
        if self._pipe is None or self.head:
            return False
        return not select.select([self._pipe], [], [], PATIENCE_SECONDS)[0]


def _pipe_of(raw: io.RawIOBase | io.BytesIO) -> int | None:
    """Return the descriptor of a stream whose reads may wait, None for a file on a disk."""
    try:
        descriptor = raw.fileno()
    except OSError:  # a stream in memory has none
        return None
    return None if stat.S_ISREG(os.fstat(descriptor).st_mode) else descriptor
