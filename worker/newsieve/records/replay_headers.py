"""Decides whose `dlq.*` headers of a raw record count: only those of `newsieve dlq replay`. Pure.

It signs what it puts back, with a key derived from the workers' secret, over all that is in the
record but its time: topic, key, value, headers. Whoever produces raw records can copy such a record
as it is, and make none.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from newsieve.filters.secret_key import SecretKey
from newsieve.records.dead_letter import only_filter, original_headers
from newsieve.records.decode import Headers, RawRecord, header
from newsieve.records.encode import OutRecord
from newsieve_schemas.dead_letter import HEADER_PREFIX

SIGNATURE: Final = f"{HEADER_PREFIX}signature"
PURPOSE: Final = "dead letters replayed"
SIGNATURE_BYTES: Final = 32
LENGTH_BYTES: Final = 8
MOST_SIGNED_HEADERS: Final = 1_000  # a replay adds three to its original's

Trusted = Literal["signed", "any"]


class Admitted(NamedTuple):
    """A raw record without headers that do not count, and the one filter that it is for, if any."""

    record: RawRecord
    only: str | None


@dataclass(frozen=True, slots=True)
class ReplayHeaders:
    """Which `dlq.*` headers of a raw record count at a worker that runs `filters`. `catalogue` has
    all filters there are."""

    trusted: Trusted
    key: SecretKey | None
    topic: str
    filters: Collection[str]
    catalogue: Collection[str]

    def admit(self, record: RawRecord) -> Admitted:
        """The record with the headers that count, and the filter it is for. A signed record is for
        the filter that it names, whoever runs that. Any other header counts only where all are
        trusted and this worker runs the filter: nobody else might."""
        headers = record.headers
        # in one search, as a record may have a million of them
        if not headers or HEADER_PREFIX not in "".join([name for name, _ in headers]):
            return Admitted(record, None)
        is_signed = self.key is not None and is_signature(self.key, self.topic, record)
        if not is_signed and self.trusted == "signed":
            return Admitted(record._replace(headers=original_headers(headers)), None)
        only = only_filter(headers, self.catalogue if is_signed else self.filters)
        return Admitted(record, only)


def signed(record: OutRecord, key: SecretKey | None) -> OutRecord:
    """The record with its signature, or as it is without a key."""
    if key is None:
        return record
    text = _signature(key, record.topic, record.key, record.value or b"", record.headers).hex()
    return record._replace(headers=[*record.headers, (SIGNATURE, text.encode())])


def is_signature(key: SecretKey, topic: str, record: RawRecord) -> bool:
    """Whether the signature is the record's. A record with more than MOST_SIGNED_HEADERS has none:
    to look would cost by the header, whoever wrote them."""
    if len(record.headers or ()) > MOST_SIGNED_HEADERS:
        return False
    said = header(record.headers, SIGNATURE)
    if said is None:
        return False
    rest = [item for item in record.headers or () if item[0] != SIGNATURE]
    right = _signature(key, topic, record.key, record.value, rest).hex().encode()
    return hmac.compare_digest(said, right)


def _signature(
    key: SecretKey, topic: str, record_key: bytes | None, value: bytes, headers: Headers
) -> bytes:
    hasher = hashlib.blake2b(key=key.derive(PURPOSE), digest_size=SIGNATURE_BYTES)
    for part in _parts(topic, record_key, value, headers):
        hasher.update(b"-" if part is None else len(part).to_bytes(LENGTH_BYTES, "big"))
        hasher.update(part or b"")
    return hasher.digest()


def _parts(
    topic: str, record_key: bytes | None, value: bytes, headers: Headers
) -> Iterator[bytes | None]:
    """The parts of a record, each with its length before it, so that no other record has the same
    ones."""
    yield topic.encode()
    yield record_key
    yield value
    for name, content in headers:
        yield name.encode("utf-8", "surrogatepass")
        yield content
