"""What a day may cost, claimed before each call and written down before it is made. Pure.

The budget of a UTC day is divided among the partitions of the request topic: whoever owns a
partition may spend its share, and nobody else. So several oracles of one group cannot overrun it
together, and need not speak to each other; one oracle alone has it all. Each partition's ledger
says what was spent and for which requests calls are under way. It is written in the transaction
before the call, so a successor knows both: what is left, and whose answers were lost.

A call is claimed at the most it can cost; what it did not use comes back with its answer. A call
whose answer is lost stays claimed: it may have been paid for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

UNLIMITED_USD: Final = float("inf")
# Below it a rest is what binary sums leave, and no money.
CENTS_OF_NOTHING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Caps:
    """Of one UTC day, for all partitions together."""

    calls: int
    usd: float = UNLIMITED_USD


@dataclass(frozen=True, slots=True)
class Ledger:
    """Of one partition. `calls` and `usd` are what of its share was spent on `day`, whichever
    request it went to; `claims` counts the calls claimed for each of its own requests, by offset,
    until the request's record is published; `published` are the offsets of those whose records
    are published before their turn, since whoever paid for them had to leave."""

    day: str = ""
    calls: int = 0
    usd: float = 0.0
    claims: Mapping[int, int] = field(default_factory=dict)
    published: frozenset[int] = frozenset()

    def on(self, day: str) -> Ledger:
        """The ledger as it stands on a day: a new one has nothing spent."""
        return self if self.day >= day else replace(self, day=day, calls=0, usd=0.0)


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

    def affords(self, usd: float, day: str, calls: int = 1) -> bool:
        return calls <= self.calls_left(day) and usd <= self.usd_left(day) + CENTS_OF_NOTHING

    def claims_of(self, partition: int, offset: int) -> int:
        """Calls claimed for this request, by us or whoever had the partition before."""
        return self.ledgers[partition].claims.get(offset, 0)

    def is_published(self, partition: int, offset: int) -> bool:
        """Whether its record is there already."""
        return offset in self.ledgers[partition].published

    def claim(self, partition: int, offset: int, usd: float, day: str) -> Budget:
        """One more call for a request, of at most `usd`. Ask `affords` before."""
        roomiest = max(self.ledgers, key=lambda p: (self._calls_left(p, day), -p))
        ledgers = {p: ledger.on(day) for p, ledger in self.ledgers.items()}
        charged = ledgers[roomiest]
        ledgers[roomiest] = replace(charged, calls=charged.calls + 1)
        mine = ledgers[partition]
        claims = {**mine.claims, offset: mine.claims.get(offset, 0) + 1}
        ledgers[partition] = replace(mine, claims=claims)
        return replace(self, ledgers=self._spend(ledgers, usd))

    def give_back(
        self, partition: int, offset: int, claims: int, usd: float, claimed_on: str
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
        return replace(self, ledgers=_refund(ledgers, claims, usd, claimed_on))

    def close(self, partition: int, offset: int, *, is_early: bool = False) -> Budget:
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

    def _calls_left(self, partition: int, day: str) -> int:
        share, rest = divmod(self.caps.calls, self.partitions)
        return share + (partition < rest) - self.ledgers[partition].on(day).calls

    def _usd_left(self, partition: int, day: str) -> float:
        return self.caps.usd / self.partitions - self.ledgers[partition].on(day).usd

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
