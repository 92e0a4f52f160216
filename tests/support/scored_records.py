"""Records as they stand on newsieve's topics, made up from a few words each."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import orjson

from newsieve.filters.rendering import content_hash, render
from newsieve.records.decode import RawRecord
from newsieve.records.encode import timestamp

START_MS = 1_790_000_000_000
DIGEST = "sha256:" + "a" * 64
NAMESPACE = uuid.UUID("7f0c3f0e-34d1-4c4b-9c55-50a1e9d6a001")
DIMENSIONS = ("agency", "progress", "collective_benefit", "connection")


def identity(title: str | None, content: str | None, **fields: Any) -> dict[str, Any]:
    """Return an ArticleIdentity's fields."""
    return {
        "id": fields.get("id", str(uuid.uuid5(NAMESPACE, f"{title}\n{content}"))),
        "title": title,
        "url": fields.get("url", "https://news.example/article"),
        "source": fields.get("source", "news.example"),
        "language": fields.get("language", "en"),
        "published_at": fields.get("published_at", "2026-11-20T08:00:00Z"),
        "content_hash": content_hash(render(title, content)),
    }


def scored(article: Mapping[str, Any], **fields: Any) -> RawRecord:
    """Return a ScoredArticle of an identity; `ms` is when it was scored."""
    ms = fields.pop("ms", START_MS)
    place = {"topic": "articles.raw", "partition": 0, "offset": fields.pop("offset", 0)}
    record = {
        "article": article, "filter": "uplifting", "filter_version": "4", "filter_hash": DIGEST,
        "label_hash": DIGEST, "student": DIGEST, "dtype": "fp32", "outcome": "scored",
        "scores": dict.fromkeys(DIMENSIONS, 6.25), "weighted_average": 6.1, "score": 6.1,
        "gates": [], "caps": [], "content_rules": [], "blocked_by": None, "tier": "connection",
        "tier_confidence": 0.8, "tokens": 12, "truncated": False, "suspect": [],
        "sampling": None, "input": {**place, "timestamp": timestamp(ms - 500)},
        "scored_at": timestamp(ms), **fields,
    }  # fmt: skip
    named = "\n".join(str(record[name]) for name in ("filter", "filter_hash", "student"))
    fact = uuid.uuid5(NAMESPACE, f"{article['id']}\n{article['content_hash']}\n{named}")
    headers = [("ce_id", str(fact).encode())]
    return RawRecord(orjson.dumps(record), None, headers, ms, place | {"topic": "articles.scored"})


def labelled(article: Mapping[str, Any], scores: Mapping[str, int], **fields: Any) -> RawRecord:
    """Return an OracleScore of an identity."""
    ms = fields.pop("ms", START_MS + 1_000)
    place = {"topic": "articles.oracle.scores", "partition": 0, "offset": 0}
    key = {
        "provider": "gemini", "model": "oracle-1", "model_version": "oracle-1-001",
        "prompt_hash": DIGEST, "schema_hash": DIGEST, "thinking": None, "temperature": None,
    }  # fmt: skip
    sampling = {
        "selected": True, "policy": "p1", "epoch": "2026-11", "stratum": "low",
        "purpose": "monitor", "pi": 0.5, "u": 0.25,
    }  # fmt: skip
    record = {
        "article": article, "filter": "uplifting", "filter_version": "4", "filter_hash": DIGEST,
        "label_hash": DIGEST, "student": DIGEST, "status": "labelled", "oracle": key,
        "oracle_scores": scores, "oracle_tier": "impact", "content_type": "news",
        "reasoning": "It says so.", "key_markers": ["so"], "failure": None,
        "student_scores": dict.fromkeys(DIMENSIONS, 6.25), "student_tier": "connection",
        "content_rules": [], "suspect": [], "sampling": sampling, "effective_pi": 0.5,
        "usage": None, "calls_without_record": 0, "reused": False, "fingerprint": None,
        "answer_hash": DIGEST, "input": {**place, "timestamp": timestamp(ms)},
        "labelled_at": timestamp(ms), **fields,
    }  # fmt: skip
    fact = uuid.uuid5(NAMESPACE, f"label\n{article['id']}\n{record['filter']}\n{ms}")
    headers = [("ce_id", str(fact).encode())]
    return RawRecord(orjson.dumps(record), None, headers, ms, place)
