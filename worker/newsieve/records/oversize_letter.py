"""Shortens a dead letter whose original is larger than a record may be: the letter holds a part of
the original and its position.

Further `dlq.*` headers say what was left out, and have the hash of the original's value. A replay
reads the original from its position. This module knows the limits of no topic and no broker.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, Literal

from newsieve.records.dead_letter import KEY_MADE, original_headers
from newsieve.records.decode import Headers, RawRecord
from newsieve.records.encode import OutRecord
from newsieve_schemas.dead_letter import HEADER_PREFIX

OversizeLetters = Literal["truncate", "headers"]

MESSAGE: Final = f"{HEADER_PREFIX}message"
TRUNCATED: Final = "truncated"  # names without the prefix
SHA256: Final = "sha256"
# Of the value, and of the headers: enough to see what it is. Also with a broker's default limit of
# 1 MB the letter is taken.
MOST_KEPT_BYTES: Final = 65_536
SHARES: Final = 4  # of the limit: value, headers, key, and what we write
HEADER_BYTES: Final = 10  # of a header's lengths, at most


def abridged(letter: OutRecord, most_bytes: int, how: OversizeLetters) -> OutRecord:
    """Return the letter within `most_bytes`. It has the beginning of the value or none of it, the
    key if that is not too long, and headers from the first on as long as there is room."""
    most = min(MOST_KEPT_BYTES, most_bytes // SHARES)
    own = [item for item in letter.headers if item[0].startswith(HEADER_PREFIX)]
    headers = original_headers(letter.headers)
    kept = _fitting(headers, most)
    value = letter.value or b""
    facts: dict[str, Any] = {TRUNCATED: len(value), SHA256: hashlib.sha256(value).hexdigest()}
    if len(kept) < len(headers):
        facts["headers-left-out"] = len(headers) - len(kept)
    key = letter.key
    if key is not None and len(key) > most:
        facts["key-left-out"] = len(key)
        key, own = _place(own), [*own, (KEY_MADE, b"true")]
    own = [(name, _said(text, own) if name == MESSAGE else text) for name, text in own]
    own += [(HEADER_PREFIX + name, str(fact).encode()) for name, fact in facts.items()]
    part = value[:most] if how == "truncate" else b""
    return letter._replace(key=key, value=part, headers=[*kept, *own])


def whole(letter: RawRecord, original: RawRecord) -> RawRecord | None:
    """Return the letter with all of its original, which was read from its position; None where
    another record is at that position."""
    said = dict(letter.headers or ()).get(HEADER_PREFIX + SHA256)
    if said != hashlib.sha256(original.value or b"").hexdigest().encode():
        return None
    own = [
        item
        for item in letter.headers or ()
        if item[0].startswith(HEADER_PREFIX) and (item[0] != KEY_MADE or original.key is None)
    ]
    headers = [*original_headers(original.headers), *own]
    return letter._replace(value=original.value, key=original.key, headers=headers)


def _fitting(headers: Headers, most_bytes: int) -> Headers:
    """Return the first headers, up to one that does not fit."""
    left = most_bytes
    for count, (name, value) in enumerate(headers):
        left -= len(name.encode()) + len(value or b"") + HEADER_BYTES
        if left < 0:
            return headers[:count]
    return headers


def _place(own: Headers) -> bytes:
    facts = dict(own)
    names = (HEADER_PREFIX + name for name in ("topic", "partition", "offset", "filter"))
    return b"/".join(facts[name] or b"" for name in names if name in facts)


def _said(message: bytes | None, own: Headers) -> bytes:
    facts = dict(own)
    topic, partition, offset = (
        facts[HEADER_PREFIX + name] or b"" for name in ("topic", "partition", "offset")
    )
    return (
        b"%b. Only a part of the record is here: it stands at %b/%b, offset %b, as long as the "
        b"topic keeps it" % (message or b"", topic, partition, offset)
    )
