"""Priority sampling under the daily budget, with each request's inclusion probability. Pure.

Each request that was drawn has a rank, its u / pi: given that it was drawn, uniform in [0, 1)
whatever it says. Among requests that wait together the highest ranks are dropped first, so that all
strata are thinned alike, as by a policy with lower pi. The rank of the first dropped request is the
share c that is left, and each request of that decision had the inclusion probability pi * c,
whether it was kept or not (Duffield, Lund and Thorup, "Priority sampling for estimation of
arbitrary subset sums", J. ACM 54 (6), 2007: given the threshold, inclusions are like independent
draws). When nothing is left, c is 0: the sample has no article of the rest of that day, and
estimates are about the hours before.

A source that wants more than its share of the day is cut first, by itself and in the same way; what
is left of all sources is cut together. A request is kept if its rank is below both thresholds, and
lowering the rank of a kept request moves neither: its probability is pi times the lower threshold.

Thresholds are not put on record: an oracle that is started again decides anew about what is left.
On a day over its budget, requests that were kept and not labelled before the restart then count as
somewhat more probable than they were.

Anchors are kept before articles of the monitor, those before training ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

Purpose = Literal["anchor", "monitor", "training"]
ORDER: Final[tuple[Purpose, ...]] = ("anchor", "monitor", "training")

# Among hundreds that wait together the first dropped rank is hardly ever lower by chance. It is
# lower where ids are chosen for a draw without a key: one label would outweigh all others.
LEAST_SHARE: Final = 1e-5

Affords = Callable[[int, float], bool]
"""Whether so many calls, of so many USD in all, still fit into the budget."""


class Candidate(NamedTuple):
    """A request that wants a call, which usually costs `usd`. Without a source only the limit of
    the day counts."""

    purpose: Purpose
    pi: float
    rank: float
    usd: float
    source: str | None = None


class SamplingDecision(NamedTuple):
    """Whether a candidate is kept, and its inclusion probability under the budget."""

    is_kept: bool
    effective_pi: float
    is_cut_by_source: bool = False


class _Cut(NamedTuple):
    """Which candidates are kept, by index, and the share that is left of each purpose."""

    kept: list[int]
    shares: dict[Purpose, float]


def select_within_budget(
    candidates: Sequence[Candidate],
    can_afford: Affords,
    can_afford_for: Callable[[str, int, float], bool] = lambda _source, _calls, _usd: True,
) -> list[SamplingDecision]:
    """Decide about each candidate. `can_afford` is about all of them, `can_afford_for` about those
    of one source."""
    sources: dict[str | None, list[int]] = {}
    for index, item in enumerate(candidates):
        sources.setdefault(item.source, []).append(index)
    shares = {}
    left: list[int] = []
    for source, indices in sources.items():
        cut = _cut(candidates, indices, _of_one(source, can_afford_for))
        left += cut.kept
        shares[source] = cut.shares
    together = _cut(candidates, left, can_afford)
    kept, within = set(together.kept), set(left)
    return [
        SamplingDecision(
            index in kept,
            item.pi * min(shares[item.source][item.purpose], together.shares[item.purpose]),
            index not in within,
        )
        for index, item in enumerate(candidates)
    ]


def _of_one(source: str | None, can_afford_for: Callable[[str, int, float], bool]) -> Affords:
    if source is None:
        return lambda _calls, _usd: True
    return lambda calls, usd: can_afford_for(source, calls, usd)


def _cut(candidates: Sequence[Candidate], indices: Sequence[int], can_afford: Affords) -> _Cut:
    """Keep of these candidates, by index, those that fit."""
    order = sorted(indices, key=lambda index: _turn(candidates[index]))
    usd = 0.0
    for count, index in enumerate(order):
        usd += candidates[index].usd
        if not can_afford(count + 1, usd):
            kept = order[:count]
            return _Cut(kept, _shares([candidates[x] for x in kept], candidates[index]))
    return _Cut(order, dict.fromkeys(ORDER, 1.0))


def _turn(item: Candidate) -> tuple[int, float]:
    return ORDER.index(item.purpose), item.rank


def _shares(kept: Sequence[Candidate], first_dropped: Candidate) -> dict[Purpose, float]:
    """Return the share that the cut leaves of each purpose's inclusion probabilities."""
    shares = dict.fromkeys(ORDER, 1.0)
    cut = first_dropped.purpose
    any_kept = any(item.purpose == cut for item in kept)
    shares[cut] = max(first_dropped.rank, LEAST_SHARE) if any_kept else 0.0
    return shares | dict.fromkeys(ORDER[ORDER.index(cut) + 1 :], 0.0)
