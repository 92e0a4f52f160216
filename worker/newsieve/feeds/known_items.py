"""Which items of a feed are known, by short hashes: what is new or has changed, and how many are
remembered after they have left the document. Pure.

An item that is forgotten and comes back is news again. Feeds whose servers disagree show an item in
turns, others rotate an archive. So what has left is remembered for as many items as
REMEMBERED_ITEMS, and for four times as many as ever lay between an item's leaving and its return.
Only a feed that goes through a longer archive strictly in order is not noticed. Two thousand feeds
that remember so many take some 50 MB.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Final, NamedTuple, Self

REMEMBERED_ITEMS: Final = 1_000
MAX_REMEMBERED_ITEMS: Final = 10_000
RETURN_FACTOR: Final = 4
# Within one feed: two of 10,000 items share a hash once in 10^11 feeds.
HASH_BYTES: Final = 8


class Seen(NamedTuple):
    """An item of the current document, by its hashes."""

    id_hash: bytes
    text_hash: bytes

    @classmethod
    def of(cls, item_id: str, text: str) -> Self:
        """Return the hashes of an item. `text` decides whether it has changed."""
        return cls(short_hash(item_id), short_hash(text))


class KnownItems(NamedTuple):
    """A feed's items by their ids' hashes, the one that was seen last at the end."""

    hashes: dict[bytes, bytes]
    current: int = 0  # so many of the last were in the last document
    return_depth: int = 0

    @classmethod
    def parse(cls, text: str, current: int, return_depth: int) -> KnownItems:
        """Return the items of a state. Of a text that is damaged, no item is known."""
        try:
            packed = base64.b64decode(text, validate=True)
        except binascii.Error:
            return cls({})
        hashes = {item: its_text for item, its_text in _pairs(packed)}  # noqa: C416 - and typed
        return cls(hashes, min(current, len(hashes)), return_depth)

    def format(self) -> str:
        """Return the items as a state has them."""
        return base64.b64encode(b"".join(map(bytes.__add__, *_columns(self.hashes)))).decode()

    def is_news(self, item: Seen) -> bool:
        """Return whether an item is new, or has changed."""
        return self.hashes.get(item.id_hash) != item.text_hash

    def after(self, document: Iterable[Seen]) -> KnownItems:
        """Return what is known once the news of a document is told. `document` is all of it."""
        current = dict(document)
        depth = max(self.return_depth, self._deepest_return(current))
        left = {key: text for key, text in self.hashes.items() if key not in current}
        limit = min(max(REMEMBERED_ITEMS, RETURN_FACTOR * depth), MAX_REMEMBERED_ITEMS)
        kept = list(left.items())[-limit:]
        return KnownItems({**dict(kept), **current}, len(current), depth)

    def _deepest_return(self, current: dict[bytes, bytes]) -> int:
        left = len(self.hashes) - self.current
        for place, key in enumerate(self.hashes):
            if place >= left:
                return 0
            if key in current:
                return left - place
        return 0


def short_hash(text: str) -> bytes:
    """Return a hash of a text, of HASH_BYTES."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=HASH_BYTES).digest()


def _pairs(packed: bytes) -> Iterator[tuple[bytes, bytes]]:
    both = 2 * HASH_BYTES
    for start in range(0, len(packed) - both + 1, both):
        middle = start + HASH_BYTES
        yield packed[start:middle], packed[middle : start + both]


def _columns(hashes: dict[bytes, bytes]) -> tuple[Iterable[bytes], Iterable[bytes]]:
    return hashes.keys(), hashes.values()
