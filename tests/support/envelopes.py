"""Articles in envelopes, and what the decoder makes of them."""

from __future__ import annotations

import json
from typing import Any

from newsieve.filters.article import Article
from newsieve.records.decode import DecodePolicy, Headers, RawRecord, decode

LIMIT = 100_000
POLICY = DecodePolicy(LIMIT, id_from_key=False)
FRAME = b"\0\0\0\0\7"
ARTICLE = {"id": "7", "title": "t", "content": "c", "url": "u", "published_at": "2026-11-01"}


def article(value: Any, headers: Headers | None = None) -> Article:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return decode(RawRecord(raw, None, headers, None, {}), POLICY)


def connect(inner: Any) -> Any:
    return {"schema": {"type": "struct", "fields": []}, "payload": inner}


def debezium(inner: Any, op: str = "u") -> Any:
    return {"before": {"id": "old"}, "after": inner, "source": {}, "op": op, "ts_ms": 1}


def event(inner: Any) -> Any:
    return {"specversion": "1.0", "type": "t", "source": "s", "id": "e", "data": inner}
