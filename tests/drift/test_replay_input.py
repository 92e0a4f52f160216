"""What `newsieve drift replay` reads: good lines, bad lines, records of the topic, other files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from newsieve.oracle.answer import Answer
from newsieve.oracle.label_file_writer import label_row
from newsieve.oracle.labeling_task import LabelResult
from newsieve.oracle.prompt import OracleConfig, Prompt
from newsieve.records.decode import DecodePolicy, RawRecord, decode
from tests.support.drift import (
    DIMENSIONS,
    UPLIFTING,
    Row,
    as_it_is,
    errors_times,
    first,
    history,
    lines,
    moved,
    replay,
    replayed,
)

WORSE = errors_times(1.6)

NUMBERS = dict.fromkeys(DIMENSIONS, 5)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"{", "InvalidJson"),
        (b"[]", "NotAnObject"),
        (b"null", "NotAnObject"),
        (b"\xff{}", "NotUtf8"),
        (b"[" * 5_000, "NestedTooDeep"),
        ({}, "InvalidScore"),
        ({"student": NUMBERS}, "InvalidScore"),
        ({"student": NUMBERS, "oracle": None}, "InvalidScore"),
        ({"student": [5] * 8, "oracle": NUMBERS}, "InvalidScore"),
        ({"student": {**NUMBERS, "agency": None}, "oracle": NUMBERS}, "InvalidScore"),
        ({"student": {**NUMBERS, "agency": True}, "oracle": NUMBERS}, "InvalidScore"),
        ({"student": {**NUMBERS, "agency": "5"}, "oracle": NUMBERS}, "InvalidScore"),
        ({"student": {"agency": 5}, "oracle": NUMBERS}, "MissingDimension"),
        ({"student": NUMBERS, "oracle": {**NUMBERS, "agency": 11}}, "InvalidScore"),
        ({"student": NUMBERS, "oracle": {**NUMBERS, "agency": -1}}, "InvalidScore"),
        (b'{"student": {"agency": NaN}}', "NonFiniteNumber"),
        ({"student": {**NUMBERS, "agency": 10**400}, "oracle": NUMBERS}, "InvalidScore"),
        ({"student": NUMBERS, "oracle": {**NUMBERS, "agency": 10**400}}, "InvalidScore"),
        ({"student": NUMBERS, "oracle": NUMBERS, "pi": 0}, "InvalidLabel"),
        ({"student": NUMBERS, "oracle": NUMBERS, "pi": 1.1}, "InvalidLabel"),
        ({"student": NUMBERS, "oracle": NUMBERS, "pi": -0.1}, "InvalidLabel"),
        ({"student": NUMBERS, "oracle": NUMBERS, "pi": True}, "InvalidLabel"),
        ({"student": NUMBERS, "oracle": NUMBERS, "pi": "0.1"}, "InvalidLabel"),
        ({"student": NUMBERS, "oracle": NUMBERS, "pi": 10**400}, "InvalidLabel"),
        ({"student": NUMBERS, "oracle": NUMBERS, "purpose": 1}, "InvalidLabel"),
        ({"student": NUMBERS, "oracle": NUMBERS, "stratum": 1}, "InvalidLabel"),
        ({"student": NUMBERS, "oracle": NUMBERS, "student_version": []}, "InvalidLabel"),
        ({"student": NUMBERS, "oracle": NUMBERS, "oracle_key": {}}, "InvalidLabel"),
        ({"student": NUMBERS, "oracle": NUMBERS, "status": "lost"}, "InvalidLabel"),
        ({"student": NUMBERS, "oracle": NUMBERS, "id": 1.5}, "InvalidId"),
        ({"student": NUMBERS, "oracle": NUMBERS, "id": False}, "InvalidId"),
        ({"student": NUMBERS, "oracle": NUMBERS, "content_rules": "x"}, "InvalidContentRules"),
        ({"oracle_scores": NUMBERS, "article": None}, "InvalidLabel"),
    ],
)
def test_a_bad_line_is_named_in_its_place_and_the_others_count(line: Any, error: str) -> None:
    """Exit 1 at the end; blank lines are counted, a byte order mark and huge values do no harm."""
    good = history(13, (200, WORSE), reference=100)
    raw = line if isinstance(line, bytes) else json.dumps(line).encode()
    stdin = b"\xef\xbb\xbf" + lines(good[:150]) + b" \n\n" + raw + b"\n" + lines(good[150:])

    done = replay(stdin)

    assert done.code == 1
    bad = [row for row in done.rows() if "error" in row]
    assert [(row["line"], row["error"]) for row in bad] == [(152, error)]
    assert bad[0]["message"] and set(bad[0]) == {"line", "error", "message"}
    assert [s for s in (row.get("state") for row in done.rows()) if s] == replayed(replay(good))


def test_values_beyond_the_scale_are_clamped_and_absent_ones_have_defaults() -> None:
    """A student may say 11.2 or −0.9; null counts as absent; unknown fields are ignored."""
    rows = history(14, (300, moved(1.5)), reference=100)
    bare = [
        {key: row[key] for key in ("student", "oracle", "purpose") if key in row} for row in rows
    ]
    for row in bare:
        row["stratum"] = "x"
    dressed = [
        {**row, "id": None, "student_version": None, "pi": None, "oracle_key": None, "more": [1],
         "student": {k: clamped(v) for k, v in row["student"].items()} | {"extra": "x"}}
        for row in bare
    ]  # fmt: skip

    assert replay(bare).rows() == replay(dressed).rows()


def clamped(score: float) -> float:
    return min(max(score, 0), 10)


def test_a_label_may_name_its_filter_with_the_version() -> None:
    """As `newsieve` takes it everywhere; another filter's labels are left out."""
    rows = history(18, (100, as_it_is), (200, WORSE), reference=200)
    versioned = [row | {"filter": "uplifting/v4"} for row in rows]
    versioned.insert(210, rows[0] | {"filter": "sustainability/v1"})

    assert replayed(replay(versioned)) == replayed(replay(rows)) != []


def oracle_score(row: Row, at: int, **facts: Any) -> Row:
    """The OracleScore record of a short line."""
    hashed = "sha256:" + "0" * 64
    return {
        "article": {"id": f"a{at}", "title": "t", "url": None, "source": None, "language": None,
                    "published_at": None, "content_hash": hashed},
        "filter": "uplifting", "filter_version": "4", "filter_hash": hashed,
        "label_hash": hashed, "student": row.get("student_version", hashed), "status": "labelled",
        "oracle": {"provider": "v", "model": "m", "model_version": "m-1", "prompt_hash": hashed,
                   "schema_hash": hashed, "thinking": None, "temperature": 0.0},
        "oracle_scores": row["oracle"], "oracle_tier": "x", "content_type": None,
        "reasoning": None, "student_scores": row["student"], "student_tier": "x",
        "content_rules": [],
        "sampling": {"selected": True, "policy": "p1", "epoch": "e", "stratum": row["stratum"],
                     "purpose": row.get("purpose", "monitor"), "pi": 0.5, "u": 0.1},
        "effective_pi": row.get("pi", 1), "usage": None, "answer_hash": None,
        "labelled_at": "2026-11-25T00:00:00Z", **facts,
    }  # fmt: skip


def test_oracle_scores_are_read_as_their_short_form() -> None:
    """Records of the topic, with its other filters, anchors and refusals among them."""
    rows = history(15, (100, as_it_is), (200, WORSE), reference=200, student_version="s")
    for row in rows:
        row["pi"] = 0.25
    records = [oracle_score(row, at) for at, row in enumerate(rows)]
    records.insert(210, oracle_score(rows[0], 9_001, filter="sustainability", oracle_scores={}))
    anchor = {**records[0]["sampling"], "purpose": "anchor"}
    records.insert(220, oracle_score(rows[0], 9_002, sampling=anchor, student_scores=None))
    records.insert(230, oracle_score(rows[0], 9_003, status="over_budget", oracle_scores=None))

    done = replay(records)

    plain = replay(rows)
    assert (done.code, replayed(done)) == (0, replayed(plain))
    assert [row["evidence"] for row in done.rows()] == [row["evidence"] for row in plain.rows()]
    assert first(done, "alert")["oracle_key"].startswith("v/m/m-1/")


def label_line(row: Row, at: int, status: str = "labelled") -> Row:
    """What `newsieve oracle label` writes of a short line's article."""
    answer = Answer(row["oracle"], None, None, None) if status == "labelled" else None
    article = decode(RawRecord(json.dumps({"id": at, "title": "T"}).encode(), None, None, None, {}),
                     DecodePolicy(1_000, id_from_key=False))  # fmt: skip
    prompt = Prompt(UPLIFTING, 1_000)
    key = OracleConfig("vendor", "m", None, 0.0).key(prompt, "m-1")
    result = LabelResult(status, "m-1", answer)
    return label_row(article, prompt, result, key, 0, "2026-11-25T00:00:00Z").model_dump()


def test_lines_of_oracle_label_with_the_students_scores_beside_them_are_labels() -> None:
    """The oracle's key is known from its parts; what was no article is left out."""
    rows = history(19, (100, as_it_is), (200, WORSE), reference=200)
    lines_ = [
        row | label_line(row, at) | {"student": row["student"]} for at, row in enumerate(rows)
    ]
    for line in lines_:
        del line["oracle"]
    letter = {"outcome": "dead_letter", "line": 7, "stage": "decode", "error": "NotUtf8"}

    done = replay([*lines_[:300], letter, *lines_[300:]])

    assert (done.code, replayed(done)) == (0, replayed(replay(rows)))
    assert replayed(done) != []
    assert first(done, "alert")["oracle_key"].startswith("vendor/m/m-1/")


def test_a_line_of_oracle_label_alone_says_what_is_missing_and_what_makes_it() -> None:
    """It has no student's scores; one that was refused has no stratum, either."""
    row = history(20, (1, as_it_is))[0]
    refused = label_line(row, 2, "refused")

    done = replay([label_line(row, 1), refused])

    assert done.code == 1
    bare, without = done.rows()
    assert (bare["line"], bare["error"]) == (0, "InvalidScore")
    assert "`newsieve score ARTICLES --filter uplifting`" in bare["message"]
    assert "rules block has none: leave its line out" in bare["message"]
    assert (without["line"], without["error"]) == (1, "InvalidLabel")
    assert "stratum is missing" in without["message"]


def test_refusals_are_a_stream_of_their_own() -> None:
    """Label loss is not random: it alarms, named `fail`, and is never silently dropped."""
    rows = history(16, (300, as_it_is), stratum="x", student_version="s")
    records = [oracle_score(row, at) for at, row in enumerate(rows)]
    for at in range(600, 800, 10):
        records[at] |= {"status": "refused", "oracle_scores": None, "oracle_tier": None}

    done = replay(records)

    alert = first(done, "alert")
    assert [stream["name"] for stream in alert["streams"]] == ["fail"]
    assert 600 <= alert["line"] < 800 and "refused" in alert["headline"]


def test_a_reference_file_serves_monitors_without_rows_of_their_own(tmp_path: Path) -> None:
    """So that records of the topic can be tested against a student's baseline.jsonl."""
    rows = history(17, (50, as_it_is), (200, WORSE), stratum="low")
    file = tmp_path / "baseline.jsonl"
    file.write_bytes(lines(rows[:500]))
    unlabelled = [row | {"student_version": "any", "oracle_key": "k"} for row in rows[500:]]

    done = replay(unlabelled, "--reference", str(file))

    assert replayed(done) == replayed(replay(rows))
    file.write_bytes(b"{}\n")
    refused = replay(unlabelled, "--reference", str(file))
    assert refused.code == 2 and "line 1" in refused.err


def test_wrong_usage_is_a_sentence() -> None:
    """An unknown filter, with the names there are; a file that is not there."""
    unknown = replay(b"", "--filter", "upliftin")
    missing = replay(b"", "no-such-file.jsonl")

    assert unknown.code == 2 and "uplifting/v4" in unknown.err
    assert missing.code == 2 and "no-such-file.jsonl" in missing.err
    assert (replay(b"").code, replay(b"").out) == (0, b"")
