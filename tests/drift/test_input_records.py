"""What a live monitor reads, and what it makes of what is none of that."""

from __future__ import annotations

import json
from typing import Any

import pytest

from newsieve.drift.condition_alert import CanaryResult
from newsieve.drift.data_drift import ScoreSample
from newsieve.drift.decision_log import Decision
from newsieve.drift.input_records import Event, EventReader
from newsieve.drift.label_reader import AnchorLabel, Label
from newsieve.errors import RecordError
from tests.support.drift import DIMENSIONS, PAIRS, UPLIFTING
from tests.support.drift_records import (
    HASH,
    Given,
    canaries,
    decision,
    label,
    oracle,
    oracle_key,
    sampling,
    scored,
)

READER = EventReader([UPLIFTING])
SCORES = dict.fromkeys(DIMENSIONS, 5.0)


def read(given: Given, **changes: Any) -> Event | None:
    return READER.read(given.topic, json.dumps(json.loads(given.value) | changes).encode(), 7)


def test_each_topics_records_say_what_they_say() -> None:
    """A label, an anchor's, an article, a report, a decision, each of its filter and student."""
    found = [
        read(label("a", PAIRS[0], 0)),
        read(label("b", PAIRS[0], 0, purpose="anchor")),
        read(scored("c", SCORES, 0)),
        read(canaries(0, passed=False)),
        read(decision("accept_oracle", 0, oracle_key="k", stratum="low")),
    ]

    assert all(event is not None and event.filter == "uplifting" for event in found)
    said = [event.payload for event in found if event is not None]
    assert [type(item) for item in said] == [
        Label,
        AnchorLabel,
        ScoreSample,
        CanaryResult,
        Decision,
    ]
    assert [item.position for item in said[:2]] == [7] * 2
    assert [item.timestamp_ms for item in said[2:]] == [7] * 3
    assert isinstance(said[0], Label) and said[0].oracle_key == oracle_key()
    article, report = said[2], said[3]
    assert isinstance(article, ScoreSample) and isinstance(report, CanaryResult)
    assert (article.scores, article.tier, article.tokens) == ([5.0] * 8, "connection", 300)
    assert (article.language, article.source) == ("en", None)
    assert found[2] is not None and found[2].student == HASH
    assert (report.passed, report.difference, report.tolerance) == (False, 0.7, 0.01)
    scope = "drift/uplifting/accept_oracle"
    assert said[4] == Decision("accept_oracle", 7, "k", None, "low", scope)


def test_an_article_of_an_older_worker_is_read() -> None:
    """One that did not say in which precision its student computed."""
    facts = json.loads(scored("c", SCORES, 0).value)
    del facts["dtype"]

    event = READER.read("scored", json.dumps(facts).encode(), 7)

    assert event is not None and isinstance(event.payload, ScoreSample)


def test_a_blocked_article_has_no_scores() -> None:
    """It counts all the same."""
    nothing = dict.fromkeys(("scores", "tier", "tokens", "truncated"))
    event = read(scored("c", SCORES, 0), outcome="blocked", blocked_by="x", **nothing)

    assert event is not None and isinstance(event.payload, ScoreSample)
    assert (event.payload.scores, event.payload.tokens) == (None, 0)


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        (label("a", PAIRS[0], 0), {"filter": "sustainability"}),
        (label("a", PAIRS[0], 0), {"label_hash": "sha256:" + "1" * 64}),
        (label("a", PAIRS[0], 0), {"status": "over_budget", "oracle_scores": None}),
        (label("a", PAIRS[0], 0), {"status": "duplicate", "oracle_scores": None}),
        (scored("a", SCORES, 0), {"filter": "sustainability"}),
        (scored("a", SCORES, 0), {"label_hash": "sha256:" + "1" * 64}),
        (canaries(0, passed=True), {"filter": "sustainability"}),
        (decision("rebaseline", 0), {"arguments": {"filter": "sustainability"}}),
        (decision("rebaseline", 0), {"decision": "oracle_calls_claimed"}),
    ],
)
def test_what_is_about_something_else_is_left_alone(given: Given, changes: dict[str, Any]) -> None:
    """Other filters, labels that mean something else, notes of programs: no dead letters."""
    assert read(given, **changes) is None


@pytest.mark.parametrize(
    ("given", "changes", "error"),
    [
        (label("a", PAIRS[0], 0), {"filter": None}, "InvalidEvent"),
        (label("a", PAIRS[0], 0), {"filter": ["uplifting"]}, "InvalidEvent"),
        (label("a", PAIRS[0], 0), {"label_hash": 7}, "InvalidEvent"),
        (label("a", PAIRS[0], 0), {"oracle_scores": {"agency": 5}}, "MissingDimension"),
        (label("a", PAIRS[0], 0), {"oracle": None}, "InvalidLabel"),
        (label("a", PAIRS[0], 0), {"student": "the latest"}, "InvalidEvent"),
        (label("a", PAIRS[0], 0), {"student": None}, "InvalidEvent"),
        (label("a", PAIRS[0], 0), {"sampling": sampling("watch")}, "InvalidEvent"),
        (label("a", PAIRS[0], 0), {"sampling": sampling("low", "reference")}, "InvalidEvent"),
        (label("a", PAIRS[0], 0), {"oracle": oracle("v" * 1_000)}, "InvalidEvent"),
        (
            label("a", PAIRS[0], 0),
            {"sampling": sampling("low") | {"policy": "p" * 1_000}},
            "InvalidEvent",
        ),
        (label("a", PAIRS[0], 0), {"effective_pi": -0.1}, "InvalidLabel"),
        (label("a", PAIRS[0], 0), {"student_scores": SCORES | {"wonder": "5"}}, "InvalidScore"),
        (
            label("a", PAIRS[0], 0, purpose="anchor"),
            {"oracle": oracle("v" * 1_000)},
            "InvalidEvent",
        ),
        (scored("a", SCORES, 0), {"scores": {"agency": 5}}, "InvalidEvent"),
        (scored("a", SCORES, 0), {"scores": SCORES | {"wonder": 11}}, "InvalidScore"),
        (scored("a", SCORES, 0), {"scores": SCORES | {"wonder": True}}, "InvalidScore"),
        (scored("a", SCORES, 0), {"scores": 5}, "InvalidEvent"),
        (scored("a", SCORES, 0), {"tokens": "many"}, "InvalidEvent"),
        (scored("a", SCORES, 0), {"tier": ["impact"]}, "InvalidEvent"),
        (scored("a", SCORES, 0), {"article": {"language": 7, "source": None}}, "InvalidEvent"),
        (scored("a", SCORES, 0), {"article": "a"}, "InvalidEvent"),
        (scored("a", SCORES, 0), {"student": 5}, "InvalidEvent"),
        (canaries(0, passed=True), {"canaries": "none"}, "InvalidEvent"),
        (canaries(0, passed=True), {"filter": ["uplifting"]}, "InvalidEvent"),
        (decision("rebaseline", 0), {"arguments": {}}, "InvalidEvent"),
        (decision("rebaseline", 0), {"arguments": {"filter": 5}}, "InvalidEvent"),
        (decision("accept_oracle", 0), {}, "InvalidEvent"),
        (decision("accept_oracle", 0, oracle_key="k" * 1_000), {}, "InvalidEvent"),
        (decision("rebaseline", 0), {"scope": "s" * 1_000}, "InvalidEvent"),
        (decision("rebaseline", 0), {"decision": "shrug"}, "InvalidEvent"),
    ],
)
def test_what_is_none_of_them_is_an_error_of_the_record(
    given: Given, changes: dict[str, Any], error: str
) -> None:
    """It becomes a dead letter; nothing else is raised, whatever the record is."""
    with pytest.raises(RecordError) as raised:
        read(given, **changes)

    assert raised.value.name == error


@pytest.mark.parametrize("value", [b"{", b"[]", b"null", b"\xff", b"7"])
@pytest.mark.parametrize("topic", ["oracle.scores", "scored", "canaries", "control"])
def test_what_is_no_object_is_an_error_of_the_record(topic: str, value: bytes) -> None:
    """On every topic."""
    with pytest.raises(RecordError):
        READER.read(topic, value, 0)
