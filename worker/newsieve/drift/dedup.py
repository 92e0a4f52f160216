"""Drops labels that were counted already: the same (id, student version, oracle key) counts once.

A filter remembers 64-bit fingerprints of its last few thousand labels. Knows nothing of what the
labels say.
"""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Final

import numpy as np
import orjson

from newsieve.drift.array_codec import decode_array, encode_array
from newsieve.drift.label_reader import Label

REMEMBERED: Final = 2_048  # labels of a filter: those of weeks, at an oracle's usual rate
FINGERPRINT_BYTES: Final = 8
SHORT_BYTES: Final = 3  # of fingerprints that came from a snapshot of the first format
SHORT_LIMIT: Final = 2 ** (8 * SHORT_BYTES)  # hardly any long fingerprint is below it, 1 in 2⁴⁰


class LabelDeduplicator:
    """Remembers the last labels that were added; `remembered` is None to remember all."""

    def __init__(self, remembered: int | None = REMEMBERED) -> None:
        self._order: deque[int] = deque()
        self._known: set[int] = set()
        self._short_left = 0  # short fingerprints that are remembered
        self._remembered = remembered

    def add(self, label: Label) -> bool:
        """Remember a label that has an id. Returns False when it was remembered already."""
        name = orjson.dumps([label.student_version, label.oracle_key, label.id])
        fingerprint = _fingerprint(name, FINGERPRINT_BYTES)
        if fingerprint in self._known:
            return False
        if self._short_left and _fingerprint(name, SHORT_BYTES) in self._known:
            return False
        self._known.add(fingerprint)
        if self._remembered is None:
            return True
        self._order.append(fingerprint)
        if len(self._order) > self._remembered:
            oldest = self._order.popleft()
            self._known.discard(oldest)
            self._short_left -= oldest < SHORT_LIMIT
        return True

    def snapshot(self) -> str:
        """Return the remembered fingerprints, oldest first."""
        return encode_array(np.array(self._order, dtype=np.uint64))

    def resume(self, snapshot: str) -> None:
        """Continue from the fingerprints of a snapshot."""
        self._order = deque(decode_array(snapshot, np.uint64).tolist())
        self._known = set(self._order)
        self._short_left = sum(item < SHORT_LIMIT for item in self._order)


def _fingerprint(name: bytes, digest_bytes: int) -> int:
    return int.from_bytes(hashlib.blake2b(name, digest_size=digest_bytes).digest(), "big")
