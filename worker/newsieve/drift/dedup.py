"""Which labels have been counted: the same (id, student version, oracle key) counts once.

A stream is remembered by 24 bits of a hash for each of the last few thousand labels. The second
of two labels is then always known while the first is remembered; a new one is taken for an old
one once in eight thousand times, whatever it says, which makes nothing better or worse.
"""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Final, Protocol

import numpy as np
import orjson

from newsieve.drift.array_codec import decode_array, encode_array
from newsieve.drift.label_reader import Label

REMEMBERED: Final = 2_048  # labels of a filter: weeks at the usual rates of an oracle
FINGERPRINT_BYTES: Final = 3


class Seen(Protocol):
    """Remembers labels."""

    def add(self, label: Label) -> bool:
        """Remember a label that has an id. False when it was remembered already."""


class LabelDeduplicator:
    """The last labels of a stream."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._order: deque[int] = deque()
        self._known: set[int] = set()
        self._remembered = remembered

    def add(self, label: Label) -> bool:
        name = orjson.dumps([label.student_version, label.oracle_key, label.id])
        hashed = hashlib.blake2b(name, digest_size=FINGERPRINT_BYTES).digest()
        fingerprint = int.from_bytes(hashed, "big")
        if fingerprint in self._known:
            return False
        self._known.add(fingerprint)
        self._order.append(fingerprint)
        if len(self._order) > self._remembered:
            self._known.discard(self._order.popleft())
        return True

    def snapshot(self) -> str:
        known = b"".join(item.to_bytes(FINGERPRINT_BYTES, "big") for item in self._order)
        return encode_array(np.frombuffer(known, dtype=np.uint8))

    def resume(self, text: str) -> None:
        """Go on where a snapshot was taken."""
        known = decode_array(text, np.uint8).tobytes()
        starts = range(0, len(known), FINGERPRINT_BYTES)
        self._order = deque(
            int.from_bytes(known[at : at + FINGERPRINT_BYTES], "big") for at in starts
        )
        self._known = set(self._order)
