"""The oracle's sample: a function of the article, the policy and a secret key, the same on every
replay.

Nested: raising pi only adds articles. A new epoch draws anew, and so does another key. The budget
is not enforced here: it is steered by a new policy version, and the oracle's hard cap is the
oracle's. Without a key anybody who writes articles can compute the draw, and choose ids for it.
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
# Whoever writes to the oracle moves its labels: they are kept apart, whatever the student's tier.
SUSPECT: Final[Stratum] = "suspect"
PURPOSE: Final = "monitor"

_RANGE: Final = float(2**64)
_LARGEST_BELOW_ONE: Final = 1 - 2**-53
_FINGERPRINT: Final = re.compile(rf"\+key-([0-9a-f]{{{FINGERPRINT_DIGITS}}})\Z")


@dataclass(frozen=True, slots=True)
class SamplingPolicy:
    """A versioned policy of one filter. `pi` is each stratum's inclusion probability."""

    policy: str
    epoch: str
    pi: Mapping[Stratum, float]
    key: SecretKey | None = None

    @property
    def name(self) -> str:
        """As records have it: of a keyed draw, with the key's fingerprint."""
        return f"{self.policy}+key-{self.key.fingerprint}" if self.key is not None else self.policy


class Draw(NamedTuple):
    """One article's draw."""

    selected: bool
    stratum: Stratum
    pi: float
    u: float


class EpochDraw:
    """u in [0, 1) of every article of an epoch, from 8 bytes of a hash, big endian, over 2**64.

    Without a key, of blake2b(id, key=epoch). With one, of blake2b(id ‖ "\\n" ‖ content hash,
    key=derived), where `derived` is the secret's key for the purpose "draw\\n" ‖ epoch: nobody
    without the secret can say which id, or which wording, is drawn.
    """

    __slots__ = ("_is_keyed", "_key")

    def __init__(self, epoch: str, key: SecretKey | None = None) -> None:
        self._is_keyed = key is not None
        self._key = epoch.encode() if key is None else key.derive(f"draw\n{epoch}")

    def u(self, article_id: str, content_hash: str) -> float:
        """The division rounds the largest 1,024 numerators up to 1; they become the largest float
        below it."""
        text = f"{article_id}\n{content_hash}" if self._is_keyed else article_id
        digest = hashlib.blake2b(text.encode(), key=self._key).digest()
        u = int.from_bytes(digest[:8], "big") / _RANGE
        return u if u < 1 else _LARGEST_BELOW_ONE


class Sampler:
    """Draws by one policy."""

    def __init__(self, policy: SamplingPolicy) -> None:
        self.policy = policy
        self._epoch = EpochDraw(policy.epoch, policy.key)

    def draw(self, article_id: str, content_hash: str, stratum: Stratum) -> Draw:
        """Selected iff u < pi."""
        u = self._epoch.u(article_id, content_hash)
        pi = self.policy.pi[stratum]
        return Draw(u < pi, stratum, pi, u)


def fingerprint_in(policy_name: str) -> str | None:
    """Of the key that a record's draw was made with; None for one without a key."""
    found = _FINGERPRINT.search(policy_name)
    return found[1] if found is not None else None
