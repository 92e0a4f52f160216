"""What a day may cost, claimed before each call and written down before it is made. Pure.

The budget of a UTC day is divided among the partitions of the request topic: whoever owns a
partition may spend its share, and nobody else. So several oracles of one group cannot overrun it
together, and need not speak to each other; one oracle alone has it all. Each partition's ledger
says what was spent and for which requests calls are under way. It is written in the transaction
before the call, so a successor knows both: what is left, and whose answers were lost.

A call is claimed at the most it can cost; what it did not use comes back with its answer. A call
whose answer is lost stays claimed: it may have been paid for.

A source has at most a share of the day, too, and the first call of a day in any case. Each ledger
counts what its sources had, of as many sources as fit. Where there are more, the one that had least
makes room, and those that are not counted are taken to have had as much (after Metwally, Agrawal
and El Abbadi, "Efficient computation of frequent and top-k elements in data streams", ICDT 2005): a
source never counts as having had less than it had, nor as having had more by a larger part of the
ledger's calls than one in that many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

UNLIMITED_USD: Final = float("inf")
# Below it a rest is what binary sums leave, and no money.
CENTS_OF_NOTHING: Final = 1e-9
MOST_SOURCES: Final = 256  # a ledger counts: 12 kB at most, written with every claim
OTHERS: Final = ""  # stands among them for all that are not counted any more
EVERYTHING: Final = 1.0


@dataclass(frozen=True, slots=True)
class Caps:
    """Of one UTC day, for all partitions together."""

    calls: int
    usd: float = UNLIMITED_USD
    source_share: float = EVERYTHING  # of both, that a source has at most


class Spent(NamedTuple):
    """What a source had on a ledger's day."""

    calls: int = 0
    usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Ledger:
    """Of one partition. `calls` and `usd` are what of its share was spent on `day`, whichever
    request it went to, and `sources` who had it, where sources have shares; `claims` counts the
    calls claimed for each of its own requests, by offset, until the request's record is published;
    `published` are the offsets of those whose records are published before their turn, since
    whoever paid for them had to leave."""

    day: str = ""
    calls: int = 0
    usd: float = 0.0
    claims: Mapping[int, int] = field(default_factory=dict)
    published: frozenset[int] = frozenset()
    sources: Mapping[str, Spent] = field(default_factory=dict)

    def rolled_to(self, day: str) -> Ledger:
        """The ledger as it stands on a day: a new one has nothing spent."""
        return self if self.day >= day else replace(self, day=day, calls=0, usd=0.0, sources={})

    def spent(self, source: str) -> Spent:
        """What a source had at most, on the ledger's day."""
        return self.sources.get(source, self.sources.get(OTHERS, Spent()))

    def charge(self, source: str, usd: float) -> Ledger:
        """One more call of a source."""
        had = self.spent(source)
        sources = {**self.sources, source: Spent(had.calls + 1, had.usd + usd)}
        if len(sources) > MOST_SOURCES:
            counted = sources.keys() - {OTHERS, source}
            gone = sources.pop(min(counted, key=lambda name: (sources[name], name)))
            others = sources.get(OTHERS, Spent())
            sources[OTHERS] = Spent(max(gone.calls, others.calls), max(gone.usd, others.usd))
        return replace(self, sources=sources)

    def refund(self, source: str, calls: int, usd: float) -> Ledger:
        had = self.sources[source]
        left = Spent(had.calls - calls, had.usd - usd)
        others = {name: spent for name, spent in self.sources.items() if name != source}
        return replace(self, sources=others | ({source: left} if left.calls > 0 else {}))


@dataclass(frozen=True, slots=True)
class Budget:
    """The shares of the partitions that are ours. Every operation gives a new one, so that what
    was not committed is simply forgotten."""

    caps: Caps
    partitions: int  # of the request topic, all of them
    ledgers: Mapping[int, Ledger]

    def today(self, day: str) -> str:
        """A clock that is set back starts no day again."""
        return max([day, *(ledger.day for ledger in self.ledgers.values())])

    def calls_left(self, day: str) -> int:
        return max(sum(self._calls_left(p, day) for p in self.ledgers), 0)

    def usd_left(self, day: str) -> float:
        return max(sum(self._usd_left(p, day) for p in self.ledgers), 0.0)

    def can_afford(self, usd: float, day: str, calls: int = 1) -> bool:
        return calls <= self.calls_left(day) and usd <= self.usd_left(day) + CENTS_OF_NOTHING

    def can_afford_for(self, source: str | None, usd: float, day: str, calls: int = 1) -> bool:
        """Whether so much fits into what is left of a source's share, of all sources' apart."""
        if source is None or not self._has_shares:
            return True
        had = [ledger.rolled_to(day).spent(source) for ledger in self.ledgers.values()]
        calls += sum(item.calls for item in had)
        usd += sum(item.usd for item in had)
        most_calls = sum(map(self._source_calls, self.ledgers))
        max_usd = self.caps.usd * self.caps.source_share * len(self.ledgers) / self.partitions
        return calls <= 1 or (calls <= most_calls and usd <= max_usd + CENTS_OF_NOTHING)

    def claims_of(self, partition: int, offset: int) -> int:
        """Calls claimed for this request, by us or whoever had the partition before."""
        return self.ledgers[partition].claims.get(offset, 0)

    def is_published(self, partition: int, offset: int) -> bool:
        """Whether its record is there already."""
        return offset in self.ledgers[partition].published

    def claim(
        self, partition: int, offset: int, usd: float, day: str, source: str | None = None
    ) -> Budget:
        """One more call for a request, of at most `usd`. Ask `affords` and `affords_of` before."""
        roomiest = max(self.ledgers, key=lambda p: (self._calls_left(p, day), -p))
        ledgers = {p: ledger.rolled_to(day) for p, ledger in self.ledgers.items()}
        charged = ledgers[roomiest]
        ledgers[roomiest] = replace(charged, calls=charged.calls + 1)
        mine = ledgers[partition]
        claims = {**mine.claims, offset: mine.claims.get(offset, 0) + 1}
        ledgers[partition] = replace(mine, claims=claims)
        ledgers = self._spend(ledgers, usd)
        if source is not None and self._has_shares:
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
        """So many claims of a request were not used, and so much of what was set aside. What was
        claimed on an earlier day does not come back on this one, nor anything twice."""
        ledger = self.ledgers[partition]
        if offset not in ledger.claims:
            return self
        left = ledger.claims.get(offset, 0) - claims
        others = {at: count for at, count in ledger.claims.items() if at != offset}
        ledgers = dict(self.ledgers)
        ledgers[partition] = replace(ledger, claims=others | ({offset: left} if left > 0 else {}))
        ledgers = _refund(ledgers, claims, usd, claimed_on)
        if source is not None:
            ledgers = _refund_source(ledgers, source, claims, usd, claimed_on)
        return replace(self, ledgers=ledgers)

    def settle(self, partition: int, offset: int, *, is_early: bool = False) -> Budget:
        """The request's record is published: nothing is claimed for it any more. `is_early`: the
        request itself will come again, since others before it have no record."""
        ledger = self.ledgers[partition]
        claims = {at: count for at, count in ledger.claims.items() if at != offset}
        published = frozenset(at for at in ledger.published if is_early or at > offset)
        published |= {offset} if is_early else frozenset()
        closed = replace(ledger, claims=claims, published=published)
        return replace(self, ledgers={**self.ledgers, partition: closed})

    def changes_since(self, earlier: Budget) -> dict[int, Ledger]:
        """The ledgers to write down."""
        return {
            partition: ledger
            for partition, ledger in self.ledgers.items()
            if ledger != earlier.ledgers.get(partition)
        }

    @property
    def _has_shares(self) -> bool:
        return self.caps.source_share < EVERYTHING

    def _calls_left(self, partition: int, day: str) -> int:
        share = self._part(self.caps.calls, partition)
        return share - self.ledgers[partition].rolled_to(day).calls

    def _source_calls(self, partition: int) -> int:
        most = int(self.caps.calls * self.caps.source_share + CENTS_OF_NOTHING)
        return self._part(max(most, 1), partition)

    def _part(self, calls: int, partition: int) -> int:
        share, rest = divmod(calls, self.partitions)
        return share + (partition < rest)

    def _used(self, ledger: Ledger, partition: int, source: str) -> tuple[int, float]:
        """Charged where it had least of its part: whoever owns the partition next goes on from
        there."""
        had = ledger.spent(source)
        return had.calls - self._source_calls(partition), had.usd

    def _usd_left(self, partition: int, day: str) -> float:
        return self.caps.usd / self.partitions - self.ledgers[partition].rolled_to(day).usd

    def _spend(self, ledgers: dict[int, Ledger], usd: float) -> dict[int, Ledger]:
        """From each share as much as it has: none may be overdrawn, or whoever owns the others
        after the next rebalance would spend it again."""
        share = self.caps.usd / self.partitions
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
