"""Over the hard cap: which requests go without a label, and what that makes of the others. Pure.

Among the requests that are waiting together those with the highest u / pi are dropped first: within
a stratum that is the highest u, and all strata are thinned alike, as a policy with lower pi would
have done it. The first dropped one's u / pi is the share c that is left, so each request of that
decision had the inclusion probability pi * c, whether it was kept or not (Duffield, Lund and
Thorup, "Priority sampling for estimation of arbitrary subset sums", J. ACM 54 (6), 2007: given
the threshold, inclusions are as independent draws). With nothing left, c is 0: of the rest of that
day the sample knows nothing, and estimates speak of the hours before.

Anchors are kept before articles of the monitor, those before training ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from schemas.scored import Sampling

ORDER: Final = ("anchor", "monitor", "training")


class Candidate(NamedTuple):
    """A request that wants a call, which costs about so much."""

    sampling: Sampling
    usd: float


class Decision(NamedTuple):
    """Whether a candidate is asked for, and its inclusion probability after the cap."""

    is_kept: bool
    effective_pi: float


def decide(
    candidates: Sequence[Candidate], affords: Callable[[int, float], bool]
) -> list[Decision]:
    """For each candidate. `affords` says whether so many calls of so much in all still fit."""
    order = sorted(range(len(candidates)), key=lambda at: _rank(candidates[at].sampling))
    kept: set[int] = set()
    usd = 0.0
    for at in order:
        usd += candidates[at].usd
        if not affords(len(kept) + 1, usd):
            break
        kept.add(at)
    shares = _shares(candidates, order, len(kept))
    return [
        Decision(at in kept, item.sampling.pi * shares[item.sampling.purpose])
        for at, item in enumerate(candidates)
    ]


def _rank(sampling: Sampling) -> tuple[int, float]:
    u, pi = sampling.u, sampling.pi
    return ORDER.index(sampling.purpose), u / pi if pi > 0 else float("inf")


def _shares(candidates: Sequence[Candidate], order: Sequence[int], kept: int) -> dict[str, float]:
    """What the cap leaves of each purpose's inclusion probabilities."""
    shares = dict.fromkeys(ORDER, 1.0)
    if kept == len(order):
        return shares
    first_dropped = candidates[order[kept]].sampling
    cut_at = ORDER.index(first_dropped.purpose)
    any_kept = any(candidates[at].sampling.purpose == first_dropped.purpose for at in order[:kept])
    shares[first_dropped.purpose] = min(_rank(first_dropped)[1], 1.0) if any_kept else 0.0
    return shares | dict.fromkeys(ORDER[cut_at + 1 :], 0.0)
