"""Draws the oracle's sample: a function of the article, the policy and a secret key, the same on
every replay.

Samples are nested: raising pi only adds articles. A new epoch or another key draws anew. The
oracle, not this module, keeps to a budget; a new policy version changes how much is drawn. Without
a key anybody who writes articles can compute the draw, and choose ids for it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from newsieve.filters.secret_key import FINGERPRINT_DIGITS, SecretKey

Stratum = Literal["low", "surfaced", "suspect"]
LOW: Final[Stratum] = "low"
SURFACED: Final[Stratum] = "surfaced"
# Articles that speak to the oracle move its labels: they are apart, whatever the student's tier.
SUSPECT: Final[Stratum] = "suspect"
PURPOSE: Final = "monitor"

_RANGE: Final = float(2**64)
_LARGEST_BELOW_ONE: Final = 1 - 2**-53
_FINGERPRINT: Final = re.compile(rf"\+key-([0-9a-f]{{{FINGERPRINT_DIGITS}}})\Z")


@dataclass(frozen=True, slots=True)
class SamplingPolicy:
    """A versioned policy of one filter. `pi` has the inclusion probability of each stratum."""

    policy: str
    epoch: str
    pi: Mapping[Stratum, float]
    key: SecretKey | None = None

    @property
    def name(self) -> str:
        """The policy's name in records: with the key's fingerprint if there is a key."""
        return f"{self.policy}+key-{self.key.fingerprint}" if self.key is not None else self.policy


class Draw(NamedTuple):
    """The draw of one article, and whether it is selected."""

    selected: bool
    stratum: Stratum
    pi: float
    u: float


class EpochDraw:
    """Computes u in [0, 1) of every article of an epoch: 8 bytes of a hash, big endian, over 2**64.

    Without a key the hash is blake2b(id, key=epoch). With one it is blake2b(id ‖ "\\n" ‖ content
    hash, key=derived), where `derived` is the secret's key for the purpose "draw\\n" ‖ epoch:
    nobody without the secret can say which id, or which wording, is drawn.
    """

    __slots__ = ("_is_keyed", "_key")

    def __init__(self, epoch: str, key: SecretKey | None = None) -> None:
        self._is_keyed = key is not None
        self._key = epoch.encode() if key is None else key.derive(f"draw\n{epoch}")

    def u(self, article_id: str, content_hash: str) -> float:
        """Return an article's u. The division rounds the largest 1,024 numerators up to 1; they
        become the largest float below it."""
        text = f"{article_id}\n{content_hash}" if self._is_keyed else article_id
        digest = hashlib.blake2b(text.encode(), key=self._key).digest()
        u = int.from_bytes(digest[:8], "big") / _RANGE
        return u if u < 1 else _LARGEST_BELOW_ONE


class Sampler:
    """Draws articles by one policy."""

    def __init__(self, policy: SamplingPolicy) -> None:
        self.policy = policy
        self._epoch = EpochDraw(policy.epoch, policy.key)

    def draw(self, article_id: str, content_hash: str, stratum: Stratum) -> Draw:
        """Draw an article of a stratum: it is selected if u < pi."""
        u = self._epoch.u(article_id, content_hash)
        pi = self.policy.pi[stratum]
        return Draw(u < pi, stratum, pi, u)


def fingerprint_in(policy_name: str) -> str | None:
    """Return the fingerprint of the key with which a record was drawn; None for a draw without
    one."""
    match = _FINGERPRINT.search(policy_name)
    return match[1] if match is not None else None
