"""The side of a limited process that reads feeds: bytes in, bytes out.

Only the process imports it: feedparser and what it needs take 20 MB and a fifth of a second.
"""

from __future__ import annotations

from typing import Final

import msgspec

from newsieve.feeds.feed import FeedDocument, FeedUnreadable, ParsedFeed
from newsieve.feeds.parse_feed import parse_feed

_QUESTION: Final = msgspec.msgpack.Decoder(FeedDocument)


def answer(question: bytes) -> bytes:
    """Return what a FeedDocument says, a ParsedFeed, or the reason why it is none, a text; all are
    MessagePack."""
    said: ParsedFeed | str
    try:
        said = parse_feed(_QUESTION.decode(question))
    except FeedUnreadable as error:
        said = str(error)
    return msgspec.msgpack.encode(said)
