"""Over the hard cap: which requests go without a label, and what that makes of the others. Pure.

Each request that was drawn has a rank, its u / pi: given that it was drawn, uniform in [0, 1)
whatever it says. Among those that are waiting together the highest ranks are dropped first: all
strata are thinned alike, as a policy with lower pi would have done it. The first dropped one's rank
is the share c that is left, so each request of that decision had the inclusion probability pi * c,
whether it was kept or not (Duffield, Lund and Thorup, "Priority sampling for estimation of
arbitrary subset sums", J. ACM 54 (6), 2007: given the threshold, inclusions are as independent
draws). With nothing left, c is 0: of the rest of that day the sample knows nothing, and estimates
speak of the hours before.

A source that wants more than its share of the day is cut first, by itself and in the same way; what
is left of all sources is cut together. A request is kept if its rank is below both thresholds, and
lowering the rank of one that is kept moves neither: its probability is pi times the lower one.

Thresholds are not written down: an oracle that is started again decides anew on what is left. On
a day over its budget those that were kept and not labelled yet then count as if they had been
somewhat more probable than they were.

Anchors are kept before articles of the monitor, those before training ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

Purpose = Literal["anchor", "monitor", "training"]
ORDER: Final[tuple[Purpose, ...]] = ("anchor", "monitor", "training")

# Of the hundreds that wait together the first dropped one is hardly ever lower by chance. Ids found
# for a draw without a key are, and one label would count for more than all others.
LEAST_SHARE: Final = 1e-5

Affords = Callable[[int, float], bool]
"""Whether so many calls of so much in all still fit."""


class Candidate(NamedTuple):
    """A request that wants a call, which costs about so much. `source` None: no limit of its own
    but the day's."""

    purpose: Purpose
    pi: float
    rank: float
    usd: float
    source: str | None = None


class SamplingDecision(NamedTuple):
    """Whether a candidate is asked for, and its inclusion probability after the cap."""

    is_kept: bool
    effective_pi: float
    is_cut_by_source: bool = False


class _Cut(NamedTuple):
    """Which are kept, by their places, and what is left of each purpose's probabilities."""

    kept: list[int]
    shares: dict[Purpose, float]


def select_within_budget(
    candidates: Sequence[Candidate],
    can_afford: Affords,
    can_afford_for: Callable[[str, int, float], bool] = lambda _source, _calls, _usd: True,
) -> list[SamplingDecision]:
    """For each candidate. `affords` is about all of them, `affords_of` about those of a source."""
    sources: dict[str | None, list[int]] = {}
    for at, item in enumerate(candidates):
        sources.setdefault(item.source, []).append(at)
    shares = {}
    left: list[int] = []
    for source, places in sources.items():
        cut = _cut(candidates, places, _of_one(source, can_afford_for))
        left += cut.kept
        shares[source] = cut.shares
    together = _cut(candidates, left, can_afford)
    kept, within = set(together.kept), set(left)
    return [
        SamplingDecision(
            at in kept,
            item.pi * min(shares[item.source][item.purpose], together.shares[item.purpose]),
            at not in within,
        )
        for at, item in enumerate(candidates)
    ]


def _of_one(source: str | None, can_afford_for: Callable[[str, int, float], bool]) -> Affords:
    if source is None:
        return lambda _calls, _usd: True
    return lambda calls, usd: can_afford_for(source, calls, usd)


def _cut(candidates: Sequence[Candidate], places: Sequence[int], can_afford: Affords) -> _Cut:
    """Of these places those that fit."""
    order = sorted(places, key=lambda at: _turn(candidates[at]))
    usd = 0.0
    for count, at in enumerate(order):
        usd += candidates[at].usd
        if not can_afford(count + 1, usd):
            kept = order[:count]
            return _Cut(kept, _shares([candidates[x] for x in kept], candidates[at]))
    return _Cut(order, dict.fromkeys(ORDER, 1.0))


def _turn(item: Candidate) -> tuple[int, float]:
    return ORDER.index(item.purpose), item.rank


def _shares(kept: Sequence[Candidate], first_dropped: Candidate) -> dict[Purpose, float]:
    """What the cap leaves of each purpose's inclusion probabilities."""
    shares = dict.fromkeys(ORDER, 1.0)
    cut = first_dropped.purpose
    any_kept = any(item.purpose == cut for item in kept)
    shares[cut] = max(first_dropped.rank, LEAST_SHARE) if any_kept else 0.0
    return shares | dict.fromkeys(ORDER[ORDER.index(cut) + 1 :], 0.0)
