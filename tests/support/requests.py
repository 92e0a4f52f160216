"""Requests to the oracle, as a worker writes them, without a worker."""

from __future__ import annotations

import json
from typing import Any

from newsieve.filters.rendering import content_hash, render
from newsieve.filters.sampling import EpochDraw
from newsieve_schemas.oracle import OracleRequest
from tests.support.filters import load

STUDENT = "sha256:" + "5" * 64
POLICY, EPOCH = "p1", "2026-11"


def request(article_id: str, filter_name: str = "uplifting", **changes: Any) -> dict[str, Any]:
    """A valid OracleRequest for a made-up article. `pi`, `u`, `policy`, `purpose`, `stratum`,
    `title`, `url`, `source` and any field of the record can be changed."""
    filter_ = load(filter_name)
    title = changes.pop("title", f"Title of {article_id}")
    content = changes.pop("content", f"What article {article_id} says.")
    names = filter_.definition.dimension_names
    facts = {
        "article": {
            "id": article_id,
            "title": title,
            "url": changes.pop("url", None),
            "source": changes.pop("source", None),
            "language": "en",
            "published_at": None,
            "content_hash": content_hash(render(title, content)),
            "content": content,
        },
        "filter": filter_.name,
        "filter_version": filter_.version,
        "filter_hash": filter_.filter_hash,
        "label_hash": filter_.label_hash,
        "student": STUDENT,
        "dtype": "fp32",
        "scores": dict.fromkeys(names, 5.0),
        "weighted_average": 5.0,
        "score": 5.0,
        "content_rules": [],
        "tier": "connection",
        "sampling": {
            "selected": True,
            "policy": changes.pop("policy", POLICY),
            "epoch": EPOCH,
            "stratum": changes.pop("stratum", "surfaced"),
            "purpose": changes.pop("purpose", "monitor"),
            "pi": changes.pop("pi", 1.0),
            "u": changes.pop("u", EpochDraw(EPOCH).u(article_id, "")),
        },
        "requested_at": "2026-11-22T10:00:00.000Z",
    }
    facts |= changes
    OracleRequest.model_validate(facts)
    return facts


def request_record(article_id: str, **changes: Any) -> tuple[bytes, bytes]:
    """Key and value on the topic."""
    return article_id.encode(), json.dumps(request(article_id, **changes)).encode()
