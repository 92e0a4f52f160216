"""The records at both ends, the oracle's notes, its memory, and labels from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from newsieve.errors import InputFileInvalid, TopicsWrong
from newsieve.oracle.answer import Answer, InvalidAnswer, read_answer
from newsieve.oracle.budget import Ledger
from newsieve.oracle.label_cache import CacheKey, LabelCache, config_key
from newsieve.oracle.labeling_task import LabelResult
from newsieve.oracle.ledger_record import LedgerCodec
from newsieve.oracle.prompt import OracleConfig, Prompt
from newsieve.oracle.providers.label_file import read_label_file
from newsieve.oracle.records import LabelMetadata, ScoreEncoder, read_request
from newsieve.records.decode import RawRecord
from newsieve_schemas.oracle import OracleUsage
from tests.support.filters import load
from tests.support.requests import request

ASKED = OracleConfig("gemini", "oracle", None, None)
PROMPT = Prompt(load("uplifting"), 1_000)
NAMES = PROMPT.filter.definition.dimension_names
PLACE = {"topic": "p.oracle.requests", "partition": 3, "offset": 7, "timestamp": None}
VERDICT = LabelResult(
    "labelled",
    "v1",
    Answer(dict.fromkeys(NAMES, 8), "environmental", "Because.", ["one"]),
    usage=OracleUsage(
        input_tokens=10, output_tokens=2, cost_usd=0.1, latency_seconds=1.0, attempts=1
    ),
)


def encoded(
    facts: dict[str, Any], result: LabelResult = VERDICT, headers: Any = None
) -> tuple[dict[str, Any], dict[str, bytes | None]]:
    record = RawRecord(json.dumps(facts).encode(), b"a", headers, 1, PLACE)
    asking = read_request(record, {PROMPT.filter.reference: PROMPT})
    circumstances = LabelMetadata(0.1, 0, "2026-11-22T12:00:00.000Z")
    out, _ = ScoreEncoder(ASKED, "t", "newsieve/oracle/g").encode(asking, result, circumstances)
    return json.loads(out.value or b""), dict(out.headers)


def test_a_request_of_a_newer_worker_is_read() -> None:
    """Readers are open: fields that are not known yet are ignored, wherever they stand."""
    facts = request("a")
    facts["new"] = 1
    facts["article"]["new"] = 1
    facts["sampling"]["new"] = {"deep": True}

    assert encoded(facts)[0]["article"]["id"] == "a"


def test_a_request_of_an_older_worker_is_read() -> None:
    """One that did not say in which precision its student computed."""
    facts = request("a")
    facts.pop("dtype", None)

    assert encoded(facts)[0]["article"]["id"] == "a"


def test_the_oracles_tier_is_decided_as_the_students() -> None:
    """The same rules, gates and caps, on the oracle's scores."""
    assert encoded(request("a"))[0]["oracle_tier"] == "impact"
    capped = encoded(request("a", content_rules=["corporate_finance"]))[0]
    assert capped["oracle_tier"] == "not_uplifting"
    refused = encoded(request("a"), LabelResult("refused", "v1", failure="SAFETY"))[0]
    assert (refused["oracle_tier"], refused["oracle_scores"]) == (None, None)


def test_the_same_fact_has_the_same_id_and_another_fact_another() -> None:
    """A replay is the same; another version, another status, another ask for an anchor is not."""

    def ce_id(facts: dict[str, Any], result: LabelResult = VERDICT) -> bytes | None:
        return encoded(facts, result)[1]["ce_id"]

    anchor = {"purpose": "anchor", "scores": None}
    different = [
        ce_id(request("a")),
        ce_id(request("b")),
        ce_id(request("a", content="Another text.")),
        ce_id(request("a"), LabelResult("labelled", "v2", VERDICT.answer)),
        ce_id(request("a"), LabelResult("over_budget")),
        ce_id(request("a", requested_at="2026-11-22T10:00:00.000Z", **anchor)),
        ce_id(request("a", requested_at="2026-11-23T10:00:00.000Z", **anchor)),
    ]

    assert len(set(different)) == len(different)
    assert ce_id(request("a", requested_at="2027-01-01T00:00:00.000Z")) == different[0]


def test_headers_say_enough_to_choose_by_and_pass_the_trace_on() -> None:
    """CloudEvents, the status as the outcome, no trace that is none."""
    trace = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"

    headers = encoded(request("a"), headers=[("traceparent", trace), ("x", None)])[1]

    assert headers["ce_type"] == b"newsieve.oracle.scored.v1"
    assert (headers["filter"], headers["outcome"], headers["tier"]) == (
        b"uplifting",
        b"labelled",
        b"impact",
    )
    assert headers["traceparent"] == trace
    assert "traceparent" not in encoded(request("a"), headers=[("traceparent", b"x")])[1]


def test_notes_are_read_back_as_they_were_written() -> None:
    """By partition and group."""
    notes = LedgerCodec("p.control", "g", "s")
    ledger = Ledger("2026-11-22", 7, 0.125, {12: 1, 9: 2}, frozenset({3}))
    ledger = ledger.charge("a1", 0.1).charge("b2", 0.0).charge("a1", 0.025)
    out = notes.write(4, ledger, "2026-11-22T12:00:00.000Z")

    found = notes.read([4, 5], {out.key or b"": out.value or b""})

    assert found == {4: ledger, 5: Ledger()}
    assert out.key == b"oracle-calls/g/4"


@pytest.mark.parametrize("value", [b"{", b"{}", b'{"arguments": {"day": 1}}', b"null"])
def test_a_note_that_cannot_be_read_stops_the_oracle(value: bytes) -> None:
    """Guessing would spend the day's budget twice."""
    notes = LedgerCodec("p.control", "g", "s")

    with pytest.raises(TopicsWrong, match="oracle-calls/g/0"):
        notes.read([0], {notes.key(0): value})


def test_memory_is_bounded_and_learns_from_records() -> None:
    """The oldest is forgotten; what cannot be read teaches nothing."""
    memory = LabelCache(2)
    way = config_key(ASKED.key(PROMPT, ""))
    texts = []
    for name in ("a", "b", "c"):
        facts, _ = encoded(request(name))
        memory.load_record(json.dumps(facts).encode())
        texts.append(CacheKey(name, facts["article"]["content_hash"], way))
    for broken in (b"{", b"[]", b"{}", b'{"oracle": {}}'):
        memory.load_record(broken)

    assert memory.get(texts[0]) is None
    known = memory.get(texts[2])
    assert known is not None
    assert known.is_reused and known.usage is None
    assert known.answer == VERDICT.answer


def test_memory_does_not_answer_for_another_version_text_or_failure() -> None:
    """The version that answered last counts, in the order of the labels' times."""
    memory = LabelCache()
    text = CacheKey("a", "sha256:1", config_key(ASKED.key(PROMPT, "")))
    other = text._replace(content_hash="sha256:2")
    memory.put(text, VERDICT, "2026-11-22T12:00:00Z")
    memory.put(other, LabelResult("invalid", "v1"), "2026-11-22T12:00:00Z")

    assert memory.get(text) is not None
    assert memory.get(other) is None
    memory.put(other, LabelResult("labelled", "v0", VERDICT.answer), "2026-11-21T12:00:00Z")
    assert memory.get(text) is not None  # an older label, learnt later
    memory.put(other, LabelResult("labelled", "v2", VERDICT.answer), "2026-11-23T12:00:00Z")
    assert memory.get(text) is None


def lines(path: Path, *rows: dict[str, Any] | bytes) -> Path:
    path.write_bytes(
        b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows)
    )
    return path


def test_a_label_file_stages_versions_refusals_and_nonsense(tmp_path: Path) -> None:
    """The later line counts; what is no label is for the reader to say; no line is a refusal."""
    row = {"id": "a", "filter": "uplifting", "scores": dict.fromkeys(NAMES, 1)}
    path = lines(
        tmp_path / "l.jsonl",
        row,
        {**row, "model_version": "002", "scores": dict.fromkeys(NAMES, 2)},
        {**row, "id": "b", "refusal": "No."},
        b"",
        {**row, "id": "c", "filter": "sustainability"},
    )
    file = read_label_file(path, ASKED)

    answered, refused, missing = (
        file.complete(PROMPT.for_article(name, "A text.")) for name in ("a", "b", "c")
    )

    assert answered.model_version == "002"
    assert json.loads(answered.text)["scores"]["wonder"] == 2
    assert (refused.outcome, refused.reason, refused.model_version) == ("refused", "No.", "oracle")
    assert missing.outcome == "refused" and "no label" in missing.reason


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"[]",
        b'{"id": "a"}',
        b'{"id": 5, "filter": 4}',
        b'{"id": true, "filter": "x"}',
        b'{"id": 5.5, "filter": "x"}',
    ],
)
def test_a_line_that_is_no_label_is_named(tmp_path: Path, bad: bytes) -> None:
    """At the start, not at the first request; lines count from 1, blank ones, too."""
    path = lines(tmp_path / "l.jsonl", {"id": "a", "filter": "x", "scores": {}}, b"", bad)

    with pytest.raises(InputFileInvalid, match=r"l\.jsonl, line 3: [^{]*$"):
        read_label_file(path, ASKED)


def test_a_label_file_that_another_program_wrote_is_read_as_it_is_meant(tmp_path: Path) -> None:
    """With a byte order mark, with CRLF, with ids that are numbers and scores written 5.0."""
    scores = dict.fromkeys(NAMES, 5.0)
    rows = [
        {"id": 1, "filter": "uplifting", "scores": scores},
        {"id": 20261125000000000000, "filter": "uplifting", "oracle_scores": {"scores": scores}},
        {"id": "x", "filter": "uplifting", "scores": scores},
    ]
    path = tmp_path / "l.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b"".join(json.dumps(row).encode() + b"\r\n" for row in rows))
    file = read_label_file(path, ASKED)

    for name in ("1", "20261125000000000000", "x"):
        reply = file.complete(PROMPT.for_article(name, "A text."))
        assert reply.outcome == "answered", reply.reason
        assert read_answer(reply.text, NAMES).scores == dict.fromkeys(NAMES, 5)


def test_a_label_of_what_json_can_say_and_an_answer_cannot_is_no_label(tmp_path: Path) -> None:
    """An integer beyond 64 bits, a lone surrogate in a list: for the answer's reader to refuse, or
    to mend, and no error."""
    scores = dict.fromkeys(NAMES, 5)
    rows = [
        {"id": "a", "filter": "uplifting", "scores": {**scores, "wonder": 10**30}},
        {"id": "b", "filter": "uplifting", "scores": {**scores, "wonder": ["\ud800"]}},
        {"id": "c", "filter": "uplifting", "scores": scores, "key_markers": ["\ud800"]},
    ]
    file = read_label_file(lines(tmp_path / "l.jsonl", *rows), ASKED)

    for name in ("a", "b"):
        with pytest.raises(InvalidAnswer, match="wonder"):
            read_answer(file.complete(PROMPT.for_article(name, "A text.")).text, NAMES)
    found = read_answer(file.complete(PROMPT.for_article("c", "A text.")).text, NAMES)
    assert (found.scores, found.key_markers) == (scores, ["\ufffd"])


def test_a_score_between_whole_numbers_is_no_label(tmp_path: Path) -> None:
    """Nothing is rounded."""
    row = {"id": "a", "filter": "uplifting", "scores": {**dict.fromkeys(NAMES, 5), "wonder": 5.5}}
    file = read_label_file(lines(tmp_path / "l.jsonl", row), ASKED)

    with pytest.raises(InvalidAnswer, match="wonder"):
        read_answer(file.complete(PROMPT.for_article("a", "A text.")).text, NAMES)


def test_a_label_may_be_of_one_version_of_a_filter(tmp_path: Path) -> None:
    """It counts for that version alone, and before one of the name."""
    rows = [
        {"id": "a", "filter": "uplifting/v4", "scores": dict.fromkeys(NAMES, 4)},
        {"id": "a", "filter": "uplifting", "scores": dict.fromkeys(NAMES, 1)},
        {"id": "b", "filter": "uplifting/v3", "scores": dict.fromkeys(NAMES, 3)},
    ]
    file = read_label_file(lines(tmp_path / "l.jsonl", *rows), ASKED)

    found = read_answer(file.complete(PROMPT.for_article("a", "A text.")).text, NAMES)

    assert found.scores == dict.fromkeys(NAMES, 4)
    assert file.complete(PROMPT.for_article("b", "A text.")).outcome == "refused"


def test_the_demos_labels_are_a_label_file() -> None:
    """All of them are exact labels."""
    path = Path(__file__).resolve().parents[2] / "worker" / "newsieve" / "demo" / "labels.jsonl"
    file = read_label_file(path, ASKED)

    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    prompts = {name: Prompt(load(name), 1_000) for name in {row["filter"] for row in rows}}
    for row in rows:
        reply = file.complete(prompts[row["filter"]].for_article(row["id"], "A text."))
        assert json.loads(reply.text)["scores"] == row["scores"]
