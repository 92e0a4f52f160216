"""Records as the programs write them, for a store that a test fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from newsieve.filters.registry import Filter
from newsieve.filters.tiering import round_scores
from newsieve.records.encode import timestamp
from tests.support import filters as builtin

STUDENT = "sha256:" + "5" * 64

load = cache(builtin.load)


def outcome_record(
    filter_: Filter,
    article: Mapping[str, Any],
    level: float | Sequence[float],
    place: Mapping[str, Any],
    now_ms: int,
) -> dict[str, Any]:
    """A ScoredArticle whose decisions follow from the level of each dimension."""
    names = filter_.definition.dimension_names
    levels = [level] * len(names) if isinstance(level, int | float) else list(level)
    scores = round_scores(np.array([levels], dtype=np.float64))
    decisions = filter_.tiering.decide(scores, [()])
    return {
        "article": dict(article),
        "filter": filter_.name,
        "filter_version": filter_.version,
        "filter_hash": filter_.filter_hash,
        "label_hash": filter_.label_hash,
        "student": STUDENT,
        "dtype": "fp32",
        "outcome": "scored",
        "scores": dict(zip(names, scores[0].tolist(), strict=True)),
        "weighted_average": decisions.weighted_average[0],
        "score": decisions.score[0],
        "gates": list(decisions.gates[0]),
        "caps": list(decisions.caps[0]),
        "content_rules": [],
        "blocked_by": None,
        "tier": decisions.tier[0],
        "tier_confidence": 0.83,
        "tokens": 312,
        "truncated": False,
        "suspect": [],
        "sampling": None,
        "input": {**place, "timestamp": timestamp(now_ms)},
        "scored_at": timestamp(now_ms),
    }


def label_record(
    outcome: Mapping[str, Any], level: float, place: Mapping[str, Any], now: str | None
) -> dict[str, Any]:
    """An oracle's label of an outcome's article, with this score in each dimension."""
    filter_ = load(outcome["filter"])
    names = filter_.definition.dimension_names
    scores = np.full((1, len(names)), float(level))
    digest = "sha256:" + "c" * 64
    same = ("article", "filter", "filter_version", "filter_hash", "label_hash", "student")
    return {
        **{name: outcome[name] for name in same},
        "status": "labelled",
        "oracle": {
            "provider": "openai", "model": "oracle-1", "model_version": "oracle-1-2026",
            "prompt_hash": digest, "schema_hash": digest, "thinking": None, "temperature": 0.0,
        },
        "oracle_scores": dict.fromkeys(names, int(level)),
        "oracle_tier": filter_.tiering.decide(scores, [()]).tier[0],
        "content_type": None, "reasoning": "Neighbours help each other.", "key_markers": None,
        "failure": None, "student_scores": outcome["scores"], "student_tier": outcome["tier"],
        "content_rules": [], "suspect": [],
        "sampling": {
            "selected": True, "policy": "p", "epoch": "2026-11", "stratum": "surfaced",
            "purpose": "monitor", "pi": 0.5, "u": 0.25,
        },
        "effective_pi": 0.5, "usage": None, "calls_without_record": 0, "reused": False,
        "fingerprint": None, "answer_hash": None,
        "input": {**place, "timestamp": None},
        "labelled_at": now,
    }  # fmt: skip


def alert_record(
    filter_: Filter, state: str, previous: str, raised_at: str | None
) -> dict[str, Any]:
    """A DriftAlert of a filter's student."""
    digest = "sha256:" + "d" * 64
    return {
        "incident_id": "0f8fad5b-d9cb-469f-a165-70867728950e", "fingerprint": "f" * 16,
        "state": state, "previous_state": previous, "severity": "critical",
        "filter": filter_.name, "filter_version": filter_.version,
        "filter_hash": filter_.filter_hash, "label_hash": filter_.label_hash, "student": digest,
        "oracle_key": "openai/oracle-1/oracle-1-2026/cccccccccccc", "scope": "surfaced",
        "headline": "The student's error has risen from 0.71 to 1.64",
        "evidence": {"value": 12_345.0, "threshold": 10_000.0, "guarantee": "once in 10,000"},
        "streams": [
            {"name": name, "share": share, "baseline": usual, "estimate": now, "interval": ends}
            for name, share, usual, now, ends in (
                ("abs:justice", 0.6, 0.71, 1.64, [1.4, 1.9]),
                ("b-:wonder", 0.2, -1.6, 0.9, [0.1, 1.7]),
                ("another", 0.05, 0.0, 1.0, [0.5, 1.5]),
            )
        ],
        "labels": 212, "onset": [raised_at, raised_at], "cause": "concept_drift",
        "sampling_policy": "p", "example_article_ids": ["one"],
        "action": {"text": "Train a new student.", "runbook": "https://example.org/runbook",
                   "command": "newsieve drift status --filter uplifting"},
        "raised_at": raised_at, "repeated": False,
    }  # fmt: skip
