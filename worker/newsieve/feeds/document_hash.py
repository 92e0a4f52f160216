"""Tells whether a feed's document is the one that was read last, but for when it was made. Pure.

Many servers write the time of each answer into the head of a feed. Reading all of its items again
for that would cost more than all else that an ingester does.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

HASH_BYTES: Final = 16
# Behind it a date belongs to an item.
_FIRST_ITEM: Final = re.compile(rb"<(?:\w+:)?(?:item|entry)[\s>]")
_MADE: Final = re.compile(rb"<(lastBuildDate|pubDate|updated|dc:date)>[^<]{0,100}</\1>")


def document_hash(body: bytes) -> str:
    """Return a hash of all but the head's dates."""
    first = _FIRST_ITEM.search(body)
    head = body[: first.start()] if first else b""
    digest = blake2b(_MADE.sub(b"", head), digest_size=HASH_BYTES)
    digest.update(memoryview(body)[len(head) :])
    return digest.hexdigest()
