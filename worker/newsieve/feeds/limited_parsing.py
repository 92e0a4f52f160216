"""Reads feeds in processes with limits of time and memory.

A hundred kilobytes of an author's name keep feedparser busy for minutes, in a regular expression
that no thread can be taken out of. It does not know how a feed is read.
"""

from __future__ import annotations

from typing import Final

import msgspec

from newsieve.feeds.feed import FeedDocument, FeedUnreadable, ParsedFeed
from newsieve.limited_process import CallFailed, Closed, LimitedProcesses, Limits

CHILD_FUNCTION: Final = "newsieve.feeds.limited_parsing_child:answer"
# A feed of 16 MiB, the largest, takes some 10 s and 130 MB on a busy machine.
LIMITS: Final = Limits(
    seconds=30, memory_bytes=512 * 1_048_576, result_bytes=64 * 1_048_576, calls=1_000
)
PROCESSES: Final = 2  # so that one hostile feed does not hold up all others

_ANSWER: Final = msgspec.msgpack.Decoder(ParsedFeed | str)


class LimitedFeedParser:
    """A FeedParser whose processes start when the first feed is read."""

    def __init__(self, limits: Limits = LIMITS, processes: int = PROCESSES) -> None:
        self._processes = LimitedProcesses(CHILD_FUNCTION, limits, processes)

    def __call__(self, document: FeedDocument) -> ParsedFeed:
        """Return what the document says. Raises FeedUnreadable."""
        try:
            said = _ANSWER.decode(self._processes.call(msgspec.msgpack.encode(document)))
        except CallFailed as error:
            raise FeedUnreadable(f"it cannot be read: {error}") from None
        except Closed:
            raise FeedUnreadable("the program ends") from None
        if isinstance(said, str):
            raise FeedUnreadable(said)
        return said

    def close(self) -> None:
        """End the processes, and what they read."""
        self._processes.close()
