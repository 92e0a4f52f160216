"""Decides whether the `dlq.*` headers of a raw record count: only `newsieve dlq replay` sets them.

A replay signs what it puts back, with a key derived from the workers' secret, over the record's
topic, key, value and headers, but not its time. Whoever produces raw records can copy such a record
unchanged, but cannot make one. This module is pure.
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
    """A raw record without the headers that do not count, and the only filter that it is for, if it
    is for one."""

    record: RawRecord
    only: str | None


@dataclass(frozen=True, slots=True)
class ReplayHeaders:
    """The rule of which `dlq.*` headers of a raw record count at a worker that runs `filters`.
    `catalogue` has the names of all filters."""

    trusted: Trusted
    key: SecretKey | None
    topic: str
    filters: Collection[str]
    catalogue: Collection[str]

    def admit(self, record: RawRecord) -> Admitted:
        """Return the record with the headers that count, and the filter that it is for.

        A signed record is for the filter that it names, even if this worker does not run it. An
        unsigned header counts only where all headers are trusted and this worker runs the filter,
        because perhaps no other worker does.
        """
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
    """Return the record with its signature, or unchanged where there is no key."""
    if key is None:
        return record
    text = _signature(key, record.topic, record.key, record.value or b"", record.headers).hex()
    return record._replace(headers=[*record.headers, (SIGNATURE, text.encode())])


def is_signature(key: SecretKey, topic: str, record: RawRecord) -> bool:
    """Say whether the record's signature is valid. A record with more than MOST_SIGNED_HEADERS
    headers counts as unsigned, because hashing them would cost time that any producer could
    take."""
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
    """Yield the parts of a record. The caller hashes each behind its length, so that no other
    record has the same parts."""
    yield topic.encode()
    yield record_key
    yield value
    for name, content in headers:
        yield name.encode("utf-8", "surrogatepass")
        yield content
