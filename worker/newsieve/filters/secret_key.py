"""Derives keys from the secret that workers share: one for each purpose.

    master   = blake2b(the secret, digest_size=64)
    derived  = blake2b(purpose, key=master, digest_size=32)

What is known of one purpose's key says nothing about another's. Pure.
"""

from __future__ import annotations

import hashlib
from typing import Final

DERIVED_BYTES: Final = 32
FINGERPRINT_DIGITS: Final = 12  # 48 bits: enough to tell keys apart


class SecretKey:
    """The keys of one secret that nobody can guess. It shows nothing but its fingerprint."""

    __slots__ = ("_master", "fingerprint")

    def __init__(self, secret: str) -> None:
        self._master = hashlib.blake2b(secret.encode()).digest()
        self.fingerprint = self.derive("fingerprint").hex()[:FINGERPRINT_DIGITS]

    def derive(self, purpose: str) -> bytes:
        """Return the key for one purpose."""
        return hashlib.blake2b(
            purpose.encode(), key=self._master, digest_size=DERIVED_BYTES
        ).digest()

    def __repr__(self) -> str:
        return f"SecretKey({self.fingerprint})"
