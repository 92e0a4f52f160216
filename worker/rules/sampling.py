"""The oracle's sample: a function of article id and policy, the same on every replay.

Nested: raising pi only adds articles. A new epoch draws anew. The budget is not enforced here:
it is steered by a new policy version, and the oracle's hard cap is the oracle's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

Stratum = Literal["low", "surfaced", "suspect"]
LOW: Final[Stratum] = "low"
SURFACED: Final[Stratum] = "surfaced"
# Whoever writes to the oracle moves its labels: they are kept apart, whatever the student's tier.
SUSPECT: Final[Stratum] = "suspect"
PURPOSE: Final = "monitor"

_RANGE: Final = float(2**64)
_LARGEST_BELOW_ONE: Final = 1 - 2**-53


@dataclass(frozen=True, slots=True)
class SamplingPolicy:
    """A versioned policy of one filter. `pi` is each stratum's inclusion probability."""

    policy: str
    epoch: str
    pi: Mapping[Stratum, float]


class Draw(NamedTuple):
    """One article's draw."""

    selected: bool
    stratum: Stratum
    pi: float
    u: float


def draw(article_id: str, stratum: Stratum, policy: SamplingPolicy) -> Draw:
    """Selected iff u < pi."""
    u = uniform(article_id, policy.epoch)
    pi = policy.pi[stratum]
    return Draw(u < pi, stratum, pi, u)


def uniform(article_id: str, epoch: str) -> float:
    """u in [0, 1): the first 8 bytes of blake2b(id, key=epoch), big endian, over 2**64.

    The division rounds the largest 1,024 numerators up to 1; they become the largest float
    below it.
    """
    hasher = hashlib.blake2b(article_id.encode(), key=epoch.encode())
    u = int.from_bytes(hasher.digest()[:8], "big") / _RANGE
    return u if u < 1 else _LARGEST_BELOW_ONE
