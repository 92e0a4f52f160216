"""Labels, articles, reports and decisions for a drift monitor, as records: made by hand, so that
all they say is known beforehand."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from newsieve.inference.manifest import REQUIRED_FILES, read_manifest, student_hash
from newsieve_schemas.drift import CanaryReport, ControlDecision
from newsieve_schemas.oracle import OracleScore, oracle_key_name
from newsieve_schemas.scored import ScoredArticle
from tests.support.drift import DIMENSIONS, PAIRS, UPLIFTING, Row, lines, tier_of

HASH = "sha256:" + "0" * 64
MINUTE = 60_000  # milliseconds
DAY = 24 * 60 * MINUTE
# The past, so that nothing has to settle; not so far back that a topic's retention takes it.
START = time.time_ns() // 1_000_000 // DAY * DAY - 2 * DAY
IDENTITY = {
    "filter": "uplifting",
    "filter_version": UPLIFTING.version,
    "filter_hash": UPLIFTING.filter_hash,
    "label_hash": UPLIFTING.label_hash,
}


@dataclass(frozen=True)
class Given:
    """A record to be put on a topic of the stream."""

    topic: str
    key: str
    value: bytes
    at: int


def article(name: str) -> dict[str, Any]:
    facts = dict.fromkeys(("title", "url", "source", "published_at"))
    return {
        **facts,
        "id": name,
        "title": f"Title of {name}",
        "language": "en",
        "content_hash": HASH,
    }


def oracle(version: str = "001") -> dict[str, Any]:
    return {
        "provider": "gemini",
        "model": "oracle",
        "model_version": version,
        "prompt_hash": HASH,
        "schema_hash": HASH,
        "thinking": None,
        "temperature": None,
    }


def oracle_key(version: str = "001") -> str:
    return oracle_key_name(oracle(version))


def label(
    name: str,
    pair: Row,
    at: int,
    student: str = HASH,
    version: str = "001",
    purpose: str = "monitor",
    **facts: Any,
) -> Given:
    """An OracleScore of a pair of student and oracle."""
    scores = {name: min(max(score, 0.0), 10.0) for name, score in pair["student"].items()}
    tier = tier_of(scores)
    record = {
        "article": article(name),
        **IDENTITY,
        "student": student,
        "status": "labelled",
        "oracle": oracle(version),
        "oracle_scores": {name: round(score) for name, score in pair["oracle"].items()},
        "oracle_tier": tier_of(pair["oracle"]),
        **dict.fromkeys(("content_type", "reasoning", "key_markers", "failure")),
        "student_scores": None if purpose == "anchor" else scores,
        "student_tier": tier,
        "content_rules": [],
        "sampling": sampling("low" if tier == "not_uplifting" else "surfaced", purpose),
        "effective_pi": 1.0,
        "usage": None,
        "calls_without_record": 0,
        "reused": False,
        "fingerprint": None,
        "answer_hash": None,
        "input": {"topic": "t", "partition": 0, "offset": 0, "timestamp": None},
        "labelled_at": "2026-11-25T10:00:00Z",
        **facts,
    }
    return Given("oracle.scores", name, _valid(OracleScore, record), at)


def sampling(stratum: str, purpose: str = "monitor") -> dict[str, Any]:
    facts = {"selected": True, "policy": "p1", "epoch": "e", "pi": 1.0, "u": 0.5}
    return {**facts, "stratum": stratum, "purpose": purpose}


def scored(name: str, scores: Mapping[str, float], at: int, student: str = HASH) -> Given:
    """A ScoredArticle."""
    record = {
        "article": article(name),
        **IDENTITY,
        "student": student,
        "dtype": "fp32",
        "outcome": "scored",
        "scores": dict(scores),
        "weighted_average": 5.0,
        "score": 5.0,
        "gates": [],
        "caps": [],
        "content_rules": [],
        "blocked_by": None,
        "tier": tier_of(scores),
        "tier_confidence": None,
        "tokens": 300,
        "truncated": False,
        "sampling": sampling("low"),
        "input": {"topic": "t", "partition": 0, "offset": 0, "timestamp": None},
        "scored_at": "2026-11-25T10:00:00Z",
    }
    return Given("scored", name, _valid(ScoredArticle, record), at)


def canaries(at: int, *, passed: bool, student: str = HASH) -> Given:
    """A CanaryReport."""
    scores = dict.fromkeys(DIMENSIONS, 5.0)
    difference = 0.001 if passed else 0.7
    canary = {"id": "c", "expected": scores, "scores": scores, "difference": difference}
    record = {
        **{name: IDENTITY[name] for name in ("filter", "filter_version")},
        "student": student,
        "device": "cpu",
        "dtype": "fp32",
        "tolerance": 0.01,
        "passed": passed,
        "canaries": [canary],
        "reported_at": "2026-11-25T10:00:00Z",
    }
    return Given("canaries", "uplifting", _valid(CanaryReport, record), at)


def decision(kind: str, at: int, **arguments: Any) -> Given:
    """A ControlDecision about uplifting."""
    record = {
        "scope": f"drift/uplifting/{kind}",
        "decision": kind,
        "arguments": {"filter": "uplifting", **arguments},
        "decided_by": "somebody",
        "decided_at": "2026-11-25T10:00:00Z",
    }
    return Given("control", record["scope"], _valid(ControlDecision, record), at)


def _valid(model: Any, record: dict[str, Any]) -> bytes:
    value = json.dumps(record).encode()
    model.model_validate_json(value, extra="forbid")
    return value


def anchor_file(path: Path, names: Sequence[str], replicates: int = 3) -> Path:
    """Anchors with the scores of the first pairs, labelled by the oracle of version 001."""
    rows = [
        {
            **article(name),
            "content": f"What {name} says.",
            **{key: IDENTITY[key] for key in ("filter", "label_hash")},
            "status": "labelled",
            "oracle_scores": {"scores": anchor_scores(at, replicate)},
            "oracle_key": oracle(),
        }
        for replicate in range(replicates)
        for at, name in enumerate(names)
    ]
    path.write_bytes(lines(rows))
    return path


def anchor_scores(at: int, replicate: int = 0) -> dict[str, int]:
    """What an oracle says of an anchor: another time, one point more in one dimension."""
    scores = {name: round(score) for name, score in PAIRS[at]["oracle"].items()}
    name = DIMENSIONS[(at + replicate) % len(DIMENSIONS)]
    return scores | {name: min(scores[name] + replicate % 2, 10)}


def anchor_label(name: str, at_anchor: int, at: int, version: str = "001", **facts: Any) -> Given:
    """An anchor's OracleScore."""
    pair = {"student": PAIRS[at_anchor]["student"], "oracle": anchor_scores(at_anchor, at % 3)}
    return label(name, pair, at, version=version, purpose="anchor", **facts)


def student_folder(folder: Path, baseline: Sequence[Row] | None = None) -> Path:
    """What a monitor needs of a student: its name and its baseline, of the pairs."""
    folder.mkdir(parents=True)
    for name in REQUIRED_FILES:
        (folder / name).write_bytes(b"")
    shutil.copy(UPLIFTING.student_folder / "student.json", folder)
    write_baseline(folder, PAIRS if baseline is None else baseline)
    return folder


def write_baseline(folder: Path, rows: Sequence[Row] = PAIRS) -> None:
    """A student's reference rows."""
    known = [{**row, "purpose": "reference", "stratum": stratum_of(row)} for row in rows]
    (folder / "baseline.jsonl").write_bytes(lines(known))


def stratum_of(row: Row) -> str:
    return "low" if tier_of(row["student"]) == "not_uplifting" else "surfaced"


def hash_of(folder: Path) -> str:
    return student_hash(folder, read_manifest(folder).base)
