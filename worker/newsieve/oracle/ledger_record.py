"""How the budget's ledgers are written down: on the control topic, and in a file of claims.

On the topic there is one compacted record per partition of the requests, so that an oracle needs no
disk of its own and a new owner of a partition finds its ledger. It is written in the transaction
that claims a call, and in the one that publishes its label. When that is this module does not know.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from newsieve.errors import TopicsWrong
from newsieve.oracle.budget import Ledger, Spent
from newsieve.records.control import decision_record
from newsieve.records.encode import OutRecord
from newsieve.validation_text import validation_message

DECISION: Final = "oracle_calls_claimed"


class StoredLedger(BaseModel):
    """A ledger as it is written down, but for what only the stream has: day, sources, published."""

    model_config = ConfigDict(strict=True)

    calls: int = Field(ge=0)
    usd: float = Field(ge=0, allow_inf_nan=False)
    claims: list[tuple[int, int]]

    @staticmethod
    def fields_of(ledger: Ledger) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        claims = sorted(ledger.claims.items())
        return {"calls": ledger.calls, "usd": ledger.usd, "claims": claims}

    def ledger(self, day: str) -> Ledger:
        """Return the ledger of this day."""
        return Ledger(day, self.calls, self.usd, dict(self.claims))


class _Source(NamedTuple):
    """What a source had on the ledger's day. `name` is a hash."""

    name: str
    calls: int
    usd: float


class _Arguments(StoredLedger):
    day: str
    published: list[int] = Field(default_factory=list)  # records of earlier versions have none
    sources: list[_Source] = Field(default_factory=list)  # nor these


class _Decision(BaseModel):
    arguments: _Arguments


class LedgerCodec:
    """Turns the ledgers of one group of oracles into records of the control topic, and back."""

    def __init__(self, topic: str, group: str, source: str) -> None:
        """`topic` is the control topic, `source` the ce_source of its records."""
        self.topic = topic
        self._group = group
        self._source = source.encode()

    def key(self, partition: int) -> bytes:
        """Return the key of a partition's ledger record."""
        return f"oracle-calls/{self._group}/{partition}".encode()

    def write(self, partition: int, ledger: Ledger, now: str) -> OutRecord:
        """Return the record of a partition's ledger. `now` is ISO 8601."""
        arguments = {
            "day": ledger.day,
            **StoredLedger.fields_of(ledger),
            "published": sorted(ledger.published),
            "sources": [(name, *spent) for name, spent in sorted(ledger.sources.items())],
        }
        scope = self.key(partition).decode()
        return decision_record(self.topic, scope, DECISION, arguments, self._source, now)

    def read(self, partitions: Collection[int], values: Mapping[bytes, bytes]) -> dict[int, Ledger]:
        """Return the ledgers of these partitions from records' values by key; an empty ledger
        where none was written.

        Raises TopicsWrong: without its ledger a day's budget would be spent twice.
        """
        return {partition: self._ledger(partition, values) for partition in partitions}

    def _ledger(self, partition: int, values: Mapping[bytes, bytes]) -> Ledger:
        value = values.get(self.key(partition))
        if value is None:
            return Ledger()
        try:
            stored = _Decision.model_validate_json(value).arguments
        except ValidationError as error:
            raise TopicsWrong(
                f"{self.topic}: the record with key {self.key(partition)!r} should say which "
                f"oracle calls were made, but: {validation_message(error)}. A null value with that "
                "key forgets them, and what was spent today"
            ) from None
        sources = {item.name: Spent(item.calls, item.usd) for item in stored.sources}
        published = frozenset(stored.published)
        return replace(stored.ledger(stored.day), published=published, sources=sources)
