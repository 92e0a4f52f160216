"""Records as written: every byte valid against the models, every header as documented."""

from __future__ import annotations

import json
import uuid
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from newsieve.filters.content_rules import RulesMet
from newsieve.filters.readable import has_text
from newsieve.filters.registry import Filter
from newsieve.filters.sampling import LOW, SURFACED, SUSPECT, SamplingPolicy
from newsieve.records.decode import DecodePolicy, Headers, RawRecord, decode
from newsieve.records.encode import (
    EncodedArticle,
    FilterEncoder,
    OutRecord,
    Scoring,
    encode_article,
    event_id,
    timestamp,
)
from newsieve_schemas import events
from newsieve_schemas.events import ArticleEventHeaders
from newsieve_schemas.export import FOLDER
from newsieve_schemas.oracle import OracleRequest
from newsieve_schemas.scored import ScoredArticle, TieredArticle

NOW = "2026-11-22T16:00:00.000Z"
INPUT = {"topic": "articles.raw", "partition": 3, "offset": 1287, "timestamp": NOW}
STUDENT = "sha256:" + "a" * 64
NOTHING = RulesMet((), None)
TEXTS = st.text(max_size=30)


def encoder(filter_: Filter, pi: float = 1.0) -> FilterEncoder:
    policy = SamplingPolicy("p1", "2026-11", {LOW: pi, SURFACED: pi, SUSPECT: pi / 2})
    return FilterEncoder(filter_, STUDENT, "bf16", policy, "articles", "newsieve/worker/g")


def raw(value: Any = None, headers: Headers | None = None) -> RawRecord:
    body = {"id": "a", "title": "T", "content": "C"} if value is None else value
    return RawRecord(json.dumps(body).encode(), b"key", headers, 1_700_000_000_000, INPUT)


@cache
def published_schema(name: str) -> Draft202012Validator:
    """What a subscriber would validate with."""
    return Draft202012Validator(json.loads((FOLDER / "json" / f"{name}.schema.json").read_text()))


def subject(record: RawRecord, *suspect: str) -> EncodedArticle:
    article = decode(record, DecodePolicy(10**6, id_from_key=False))
    return encode_article(record, article, suspect)


def scoring(filter_: Filter, score: float) -> Scoring:
    rows = np.full((1, len(filter_.definition.dimensions)), score)
    d = filter_.tiering.decide(rows, [()])
    return Scoring(
        rows[0].tolist(),
        d.weighted_average[0],
        d.score[0],
        d.gates[0],
        d.caps[0],
        d.tier[0],
        confidence=0.75,
        tokens=12,
        truncated=False,
    )


def records(filter_: Filter, record: RawRecord, score: float, pi: float = 1.0) -> list[OutRecord]:
    return encoder(filter_, pi).scored(subject(record), NOTHING, scoring(filter_, score), NOW)


@given(
    st.fixed_dictionaries(
        {"title": TEXTS.filter(has_text)},
        optional={
            "id": TEXTS | st.integers(),
            "content": TEXTS,
            "url": TEXTS,
            "source": st.none() | st.integers(),
            "language": TEXTS,
        },
    ),
    st.integers(0, 100_000).map(lambda n: n / 10_000),
)
@settings(max_examples=200)
def test_every_byte_is_valid_against_the_models(
    uplifting: Filter, value: dict[str, Any], score: float
) -> None:
    """Strictly, and the model writes the same bytes again."""
    models = {
        "articles.scored": ScoredArticle,
        "articles.oracle.requests": OracleRequest,
    }
    for record in records(uplifting, raw(value), score):
        model = models.get(record.topic, TieredArticle)
        parsed = model.model_validate_json(record.value or b"", strict=True, extra="forbid")
        assert parsed.model_dump(mode="json") == json.loads(record.value or b"")
        assert list(json.loads(record.value or b"")) == list(model.model_fields)
        headers = {name: (text or b"").decode() for name, text in record.headers}
        ArticleEventHeaders.model_validate(headers)
        published_schema("ArticleEventHeaders").validate(headers)
        published_schema(model.__name__).validate(json.loads(record.value or b""))
        assert record.key == json.loads(record.value or b"")["article"]["id"].encode()


def test_a_blocked_article_is_a_record_without_scores(uplifting: Filter) -> None:
    """It says which rule blocked it, and which others it met."""
    met = RulesMet(("academic_domains", "corporate_finance"), "academic_domains")

    out = encoder(uplifting).blocked(subject(raw()), met, NOW)

    parsed = ScoredArticle.model_validate_json(out.value or b"", strict=True, extra="forbid")
    assert (parsed.outcome, parsed.blocked_by) == ("blocked", "academic_domains")
    assert (parsed.student, parsed.dtype) == (STUDENT, None)
    assert parsed.content_rules == ["academic_domains", "corporate_finance"]
    assert parsed.scores is parsed.tier is parsed.sampling is None
    assert "tier" not in dict(out.headers)


@pytest.mark.parametrize("score", [1.0, 8.0])
def test_a_suspect_article_is_published_as_any_and_sampled_apart(
    uplifting: Filter, score: float
) -> None:
    """Its records say so, in a field and a header; its stratum is its own, whatever its tier."""
    said = subject(raw(), "instruction", "role_marker")
    plain = encoder(uplifting).scored(subject(raw()), NOTHING, scoring(uplifting, score), NOW)

    found = encoder(uplifting).scored(said, NOTHING, scoring(uplifting, score), NOW)
    blocked = encoder(uplifting).blocked(said, RulesMet(("a",), "a"), NOW)

    assert [r.topic for r in found[: len(plain) - 1]] == [r.topic for r in plain[:-1]]
    for record in [*found, blocked]:
        facts = json.loads(record.value or b"")
        assert facts["suspect"] == ["instruction", "role_marker"]
        assert dict(record.headers)["suspect"] == b"true"
    scored = json.loads(found[0].value or b"")
    assert (scored["sampling"]["stratum"], scored["sampling"]["pi"]) == (SUSPECT, 0.5)
    for record in plain:
        assert json.loads(record.value or b"")["suspect"] == []
        assert "suspect" not in dict(record.headers)


@pytest.mark.parametrize(
    ("score", "topics"),
    [
        (8.0, ["articles.scored", "articles.tier.uplifting.impact"]),
        (5.0, ["articles.scored", "articles.tier.uplifting.connection"]),
        (1.0, ["articles.scored"]),
    ],
)
def test_a_published_tier_gets_a_record_with_the_text(
    uplifting: Filter, score: float, topics: list[str]
) -> None:
    """And the scored topic one without."""
    found = records(uplifting, raw(), score, pi=0.0)

    assert [record.topic for record in found] == topics
    assert "content" not in json.loads(found[0].value or b"")["article"]
    assert all(json.loads(r.value or b"")["article"]["content"] == "C" for r in found[1:])


def test_a_record_says_in_which_precision_its_student_computed(uplifting: Filter) -> None:
    """Beside the student, in all three records of an article: bf16 rounds, and can flip a tier."""
    found = records(uplifting, raw(), 9.0)

    assert len(found) == 3
    for record in found:
        facts = json.loads(record.value or b"")
        assert (facts["student"], facts["dtype"]) == (STUDENT, "bf16")


def test_names_have_dashes_in_topics(investment_risk: Filter) -> None:
    """investment_risk publishes to …tier.investment-risk.…"""
    scores = [8, 8, 0, 0, 0, 0, 8, 8]
    d = investment_risk.tiering.decide(np.array([scores], dtype=float), [()])
    made = Scoring(
        list(map(float, scores)),
        d.weighted_average[0],
        d.score[0],
        (),
        (),
        d.tier[0],
        confidence=0.75,
        tokens=1,
        truncated=False,
    )

    found = encoder(investment_risk, 0).scored(subject(raw()), NOTHING, made, NOW)

    assert found[1].topic == "articles.tier.investment-risk.red"


def test_a_selected_article_is_requested_from_the_oracle_and_says_why(uplifting: Filter) -> None:
    """With the text, the student's scores and the draw."""
    request = records(uplifting, raw(), 8.0, pi=1.0)[-1]

    parsed = OracleRequest.model_validate_json(request.value or b"", strict=True, extra="forbid")
    assert request.topic == "articles.oracle.requests"
    assert parsed.article.content == "C"
    assert parsed.sampling.selected and parsed.sampling.stratum == "surfaced"
    assert parsed.tier == "impact"


def test_the_same_fact_has_the_same_event_id_and_others_have_others(uplifting: Filter) -> None:
    """UUIDv5 of article id, content hash, filter hash, student and type; not of place or time."""

    def ids(record: RawRecord) -> list[bytes | None]:
        return [dict(out.headers)["ce_id"] for out in records(uplifting, record, 8.0)]

    elsewhere = RawRecord(raw().value, b"other", None, 5, {**INPUT, "offset": 99})
    assert ids(raw()) == ids(elsewhere)
    assert len(set(ids(raw()))) == 3
    assert not set(ids(raw())) & set(ids(raw({"id": "a", "title": "T", "content": "D"})))
    assert not set(ids(raw())) & set(ids(raw({"id": "b", "title": "T", "content": "C"})))


@given(TEXTS)
def test_event_ids_are_uuids_of_version_5(name: str) -> None:
    """As the standard library makes them."""
    namespace = uuid.UUID("0b6a5c3e-52f1-5d7a-8c39-6e0f4a1d9b27")

    assert event_id(name).decode() == str(uuid.uuid5(namespace, name))


def test_headers_are_cloud_events_and_pass_the_trace_on(uplifting: Filter) -> None:
    """Binary mode; traceparent byte for byte, other headers of the input stay behind."""
    trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    record = raw(headers=[("traceparent", trace), ("x-secret", b"s"), ("n", None)])

    headers = dict(records(uplifting, record, 8.0)[0].headers)

    assert headers["ce_type"] == events.SCORED.encode()
    assert headers["ce_source"] == b"newsieve/worker/g"
    assert headers["content-type"] == b"application/json"
    assert headers["traceparent"] == trace
    assert (headers["filter"], headers["outcome"], headers["tier"]) == (
        b"uplifting",
        b"scored",
        b"impact",
    )
    assert "x-secret" not in headers


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"0" * 8_000_000,
        b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0\n",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
    ],
)
def test_a_trace_that_is_none_stays_behind(uplifting: Filter, value: bytes | None) -> None:
    """However large: one of a record's size would stop every worker."""
    found = records(uplifting, raw(headers=[("traceparent", value)]), 8.0)

    assert len(found) == 3
    assert not any("traceparent" in dict(record.headers) for record in found)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
        (None, None),
        (-1, None),
        (2**62, None),
    ],
)
def test_timestamps_are_iso_8601_in_utc(milliseconds: int | None, text: str | None) -> None:
    """A timestamp that is no date is null."""
    assert timestamp(milliseconds) == text
