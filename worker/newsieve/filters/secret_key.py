"""The secret that workers share, and what is derived from it: one key for each purpose.

    master   = blake2b(the secret, digest_size=64)
    derived  = blake2b(purpose, key=master, digest_size=32)

So that what one purpose shows, if anything, says nothing of another's key. Pure.
"""

from __future__ import annotations

import hashlib
from typing import Final

DERIVED_BYTES: Final = 32
FINGERPRINT_DIGITS: Final = 12  # 48 bits: enough to tell keys apart


class SecretKey:
    """Of a secret that nobody can guess. Shows nothing but its fingerprint."""

    __slots__ = ("_master", "fingerprint")

    def __init__(self, secret: str) -> None:
        self._master = hashlib.blake2b(secret.encode()).digest()
        self.fingerprint = self.derive("fingerprint").hex()[:FINGERPRINT_DIGITS]

    def derive(self, purpose: str) -> bytes:
        return hashlib.blake2b(
            purpose.encode(), key=self._master, digest_size=DERIVED_BYTES
        ).digest()

    def __repr__(self) -> str:
        return f"SecretKey({self.fingerprint})"
