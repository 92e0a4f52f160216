"""What a day may cost: each call is claimed, and its claim put on record, before it is made. Pure.

The budget of a UTC day is divided among the partitions of the request topic: only the owner of a
partition may spend its share. So several oracles of one group cannot overrun the budget together
and need not speak to each other; one oracle alone has all of it. Each partition's ledger says what
was spent and for which requests calls are under way. It is written in the transaction before the
call, so a new owner knows both: what is left, and whose answers were lost.

A call is claimed at the most it can cost; what it did not use comes back with its answer. A call
whose answer is lost stays claimed: it may have been paid for.

A source has at most a share of the day, too, and the first call of a day in any case. Each ledger
counts the calls of as many sources as fit into it. Where there are more, the source with the fewest
makes room, and all that are not counted are taken to have had as many as it (after Metwally,
Agrawal and El Abbadi, "Efficient computation of frequent and top-k elements in data streams", ICDT
2005): a source is never counted too low, and too high by no more than the ledger's calls divided by
the sources that it counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

UNLIMITED_USD: Final = float("inf")
# What is less than this is a rounding error of sums, and no money.
CENTS_OF_NOTHING: Final = 1e-9
MOST_SOURCES: Final = 256  # that a ledger counts: 12 kB at most, written with every claim
OTHERS: Final = ""  # the source that stands for all that are not counted any more
EVERYTHING: Final = 1.0


@dataclass(frozen=True, slots=True)
class Caps:
    """The limits of one UTC day, for all partitions together."""

    calls: int
    usd: float = UNLIMITED_USD
    source_share: float = EVERYTHING  # of the calls and of the USD, for one source

    @property
    def has_shares(self) -> bool:
        """Whether a source has less than everything."""
        return self.source_share < EVERYTHING


class Spent(NamedTuple):
    """What a source had on a ledger's day."""

    calls: int = 0
    usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was spent of one partition's share, and what is claimed for its requests.

    `calls` and `usd` were spent on `day`, whichever partition's requests they went to, and
    `sources` says for whom, where sources have shares. `claims` counts the calls claimed for each
    of its own requests, by offset, until the request's record is published. `published` has the
    offsets of requests whose records were published before their turn, by an oracle that paid for
    them and had to leave.
    """

    day: str = ""
    calls: int = 0
    usd: float = 0.0
    claims: Mapping[int, int] = field(default_factory=dict)
    published: frozenset[int] = frozenset()
    sources: Mapping[str, Spent] = field(default_factory=dict)

    def rolled_to(self, day: str) -> Ledger:
        """Return the ledger as of a day: on a later one than its own nothing is spent yet."""
        return self if self.day >= day else replace(self, day=day, calls=0, usd=0.0, sources={})

    def spent(self, source: str) -> Spent:
        """Return what a source had at most on the ledger's day."""
        return self.sources.get(source, self.sources.get(OTHERS, Spent()))

    def charge(self, source: str, usd: float) -> Ledger:
        """Count one more call of a source."""
        had = self.spent(source)
        sources = {**self.sources, source: Spent(had.calls + 1, had.usd + usd)}
        if len(sources) > MOST_SOURCES:
            counted = sources.keys() - {OTHERS, source}
            gone = sources.pop(min(counted, key=lambda name: (sources[name], name)))
            others = sources.get(OTHERS, Spent())
            sources[OTHERS] = Spent(max(gone.calls, others.calls), max(gone.usd, others.usd))
        return replace(self, sources=sources)

    def refund(self, source: str, calls: int, usd: float) -> Ledger:
        """Take back calls of a source that the ledger counts."""
        had = self.sources[source]
        left = Spent(had.calls - calls, had.usd - usd)
        others = {name: spent for name, spent in self.sources.items() if name != source}
        return replace(self, sources=others | ({source: left} if left.calls > 0 else {}))


@dataclass(frozen=True, slots=True)
class Budget:
    """The shares of the partitions that this oracle owns. Every operation returns a new budget, so
    that one that is not committed can be dropped."""

    caps: Caps
    partitions: int  # of the request topic, all of them
    ledgers: Mapping[int, Ledger]

    def today(self, day: str) -> str:
        """Return the day, or a later one of the ledgers: a clock that is set back repeats no
        day."""
        return max([day, *(ledger.day for ledger in self.ledgers.values())])

    def calls_left(self, day: str) -> int:
        """Return how many calls may still be claimed on this day."""
        return max(sum(self._calls_left(p, day) for p in self.ledgers), 0)

    def usd_left(self, day: str) -> float:
        """Return how much may still be claimed on this day."""
        return max(sum(self._usd_left(p, day) for p in self.ledgers), 0.0)

    def can_afford(self, usd: float, day: str, calls: int = 1) -> bool:
        """Whether so many calls, of so much in all, fit into what is left of the day."""
        return calls <= self.calls_left(day) and usd <= self.usd_left(day) + CENTS_OF_NOTHING

    def can_afford_for(self, source: str | None, usd: float, day: str, calls: int = 1) -> bool:
        """Whether so much fits into what is left of a source's share, whatever others have left."""
        if source is None or not self.caps.has_shares:
            return True
        had = [ledger.rolled_to(day).spent(source) for ledger in self.ledgers.values()]
        calls += sum(item.calls for item in had)
        usd += sum(item.usd for item in had)
        most_calls = sum(map(self._source_calls, self.ledgers))
        max_usd = self.caps.usd * self.caps.source_share * len(self.ledgers) / self.partitions
        return calls <= 1 or (calls <= most_calls and usd <= max_usd + CENTS_OF_NOTHING)

    def claims_of(self, partition: int, offset: int) -> int:
        """Return the calls claimed for this request, by this owner of the partition or a former
        one."""
        return self.ledgers[partition].claims.get(offset, 0)

    def is_published(self, partition: int, offset: int) -> bool:
        """Whether the request's record is published already."""
        return offset in self.ledgers[partition].published

    def claim(
        self, partition: int, offset: int, usd: float, day: str, source: str | None = None
    ) -> Budget:
        """Claim one more call for a request, of at most `usd`, that `can_afford` and
        `can_afford_for` allow."""
        roomiest = max(self.ledgers, key=lambda p: (self._calls_left(p, day), -p))
        ledgers = {p: ledger.rolled_to(day) for p, ledger in self.ledgers.items()}
        charged = ledgers[roomiest]
        ledgers[roomiest] = replace(charged, calls=charged.calls + 1)
        mine = ledgers[partition]
        claims = {**mine.claims, offset: mine.claims.get(offset, 0) + 1}
        ledgers[partition] = replace(mine, claims=claims)
        ledgers = _spend(ledgers, usd, self.caps.usd / self.partitions)
        if source is not None and self.caps.has_shares:
            least = min(ledgers, key=lambda p: (self._used(ledgers[p], p, source), p))
            ledgers[least] = ledgers[least].charge(source, usd)
        return replace(self, ledgers=ledgers)

    def give_back(
        self,
        partition: int,
        offset: int,
        claims: int,
        usd: float,
        claimed_on: str,
        source: str | None = None,
    ) -> Budget:
        """Give back so many claims of a request, and so much of its money, that were not used. What
        was claimed on an earlier day does not come back on this one, nor anything twice."""
        ledger = self.ledgers[partition]
        if offset not in ledger.claims:
            return self
        left = ledger.claims.get(offset, 0) - claims
        others = {key: count for key, count in ledger.claims.items() if key != offset}
        ledgers = dict(self.ledgers)
        ledgers[partition] = replace(ledger, claims=others | ({offset: left} if left > 0 else {}))
        ledgers = _refund(ledgers, claims, usd, claimed_on)
        if source is not None:
            ledgers = _refund_source(ledgers, source, claims, usd, claimed_on)
        return replace(self, ledgers=ledgers)

    def settle(self, partition: int, offset: int, *, is_early: bool = False) -> Budget:
        """End the claims of a request whose record is published. `is_early`: the request itself
        will come again, since others before it have no record."""
        ledger = self.ledgers[partition]
        claims = {key: count for key, count in ledger.claims.items() if key != offset}
        published = frozenset(key for key in ledger.published if is_early or key > offset)
        published |= {offset} if is_early else frozenset()
        settled = replace(ledger, claims=claims, published=published)
        return replace(self, ledgers={**self.ledgers, partition: settled})

    def changes_since(self, earlier: Budget) -> dict[int, Ledger]:
        """Return the ledgers that differ from those of an earlier budget, by partition."""
        return {
            partition: ledger
            for partition, ledger in self.ledgers.items()
            if ledger != earlier.ledgers.get(partition)
        }

    def _calls_left(self, partition: int, day: str) -> int:
        share = _part(self.caps.calls, self.partitions, partition)
        return share - self.ledgers[partition].rolled_to(day).calls

    def _source_calls(self, partition: int) -> int:
        most = int(self.caps.calls * self.caps.source_share + CENTS_OF_NOTHING)
        return _part(max(most, 1), self.partitions, partition)

    def _used(self, ledger: Ledger, partition: int, source: str) -> tuple[int, float]:
        """By which a call of a source is charged to the ledger where the source used least of its
        part: a next owner of the partition goes on from there."""
        had = ledger.spent(source)
        return had.calls - self._source_calls(partition), had.usd

    def _usd_left(self, partition: int, day: str) -> float:
        return self.caps.usd / self.partitions - self.ledgers[partition].rolled_to(day).usd


def _part(calls: int, partitions: int, partition: int) -> int:
    """Return one partition's part of so many calls."""
    share, rest = divmod(calls, partitions)
    return share + (partition < rest)


def _spend(ledgers: dict[int, Ledger], usd: float, share: float) -> dict[int, Ledger]:
    """Take from each ledger's share as much as is left of it. None may be overdrawn: after the next
    rebalance the owner of the others would spend it again."""
    for partition, ledger in ledgers.items():
        part = min(usd, max(share - ledger.usd, 0.0))
        ledgers[partition] = replace(ledger, usd=ledger.usd + part)
        usd -= part
    return ledgers


def _refund(ledgers: dict[int, Ledger], calls: int, usd: float, day: str) -> dict[int, Ledger]:
    for partition, ledger in ledgers.items():
        if ledger.day == day:
            calls_back, usd_back = min(calls, ledger.calls), min(usd, ledger.usd)
            ledgers[partition] = replace(
                ledger, calls=ledger.calls - calls_back, usd=ledger.usd - usd_back
            )
            calls, usd = calls - calls_back, usd - usd_back
    return ledgers


def _refund_source(
    ledgers: dict[int, Ledger], source: str, calls: int, usd: float, day: str
) -> dict[int, Ledger]:
    for partition, ledger in ledgers.items():
        had = ledger.sources.get(source)
        if ledger.day == day and had is not None:
            calls_back, usd_back = min(calls, had.calls), min(usd, had.usd)
            ledgers[partition] = ledger.refund(source, calls_back, usd_back)
            calls, usd = calls - calls_back, usd - usd_back
    return ledgers
