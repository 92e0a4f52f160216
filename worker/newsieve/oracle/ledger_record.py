"""The budget's ledgers on the control topic: one compacted record per partition of the requests.

They stand there, and not in a file, so that an oracle needs no disk of its own and whoever takes a
partition over finds them; and not among the scores, whose readers expect labels. They are written
in the transaction that claims a call, and in the one that publishes its label.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from newsieve.errors import TopicsWrong
from newsieve.filters.registry import validation_message
from newsieve.oracle.budget import Ledger, Spent
from newsieve.records.control import decision_record
from newsieve.records.encode import OutRecord

DECISION: Final = "oracle_calls_claimed"


class _Source(NamedTuple):
    """`name` is a hash."""

    name: str
    calls: int
    usd: float


class _Arguments(BaseModel):
    model_config = ConfigDict(strict=True)

    day: str
    calls: int = Field(ge=0)
    usd: float = Field(ge=0, allow_inf_nan=False)
    claims: list[tuple[int, int]]
    published: list[int] = Field(default_factory=list)  # notes of earlier versions have none
    sources: list[_Source] = Field(default_factory=list)  # nor these


class _Claimed(BaseModel):
    arguments: _Arguments


class LedgerCodec:
    """Of one group of oracles."""

    def __init__(self, topic: str, group: str, source: str) -> None:
        """`topic` is the control topic, `source` the ce_source."""
        self.topic = topic
        self._group = group
        self._source = source.encode()

    def key(self, partition: int) -> bytes:
        return f"oracle-calls/{self._group}/{partition}".encode()

    def write(self, partition: int, ledger: Ledger, now: str) -> OutRecord:
        """`now` is ISO 8601."""
        arguments = {
            "day": ledger.day,
            "calls": ledger.calls,
            "usd": ledger.usd,
            "claims": sorted(ledger.claims.items()),
            "published": sorted(ledger.published),
            "sources": [(name, *spent) for name, spent in sorted(ledger.sources.items())],
        }
        scope = self.key(partition).decode()
        return decision_record(self.topic, scope, DECISION, arguments, self._source, now)

    def read(self, partitions: Collection[int], found: Mapping[bytes, bytes]) -> dict[int, Ledger]:
        """The ledgers of these partitions; an empty one where none was written.

        Raises TopicsWrong: without its ledger a day's budget would be spent twice.
        """
        return {partition: self._ledger(partition, found) for partition in partitions}

    def _ledger(self, partition: int, found: Mapping[bytes, bytes]) -> Ledger:
        value = found.get(self.key(partition))
        if value is None:
            return Ledger()
        try:
            noted = _Claimed.model_validate_json(value).arguments
        except ValidationError as error:
            raise TopicsWrong(
                f"{self.topic}: the record with key {self.key(partition)!r} should say which "
                f"oracle calls were made, but: {validation_message(error)}. A null value with that "
                "key forgets them, and what was spent today"
            ) from None
        published = frozenset(noted.published)
        sources = {item.name: Spent(item.calls, item.usd) for item in noted.sources}
        return Ledger(noted.day, noted.calls, noted.usd, dict(noted.claims), published, sources)
