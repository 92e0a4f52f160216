"""Both providers' shapes, and a server that misbehaves in all the ways they do."""

from __future__ import annotations

import json
import time

import pytest

from newsieve.oracle.answer import read_answer
from newsieve.oracle.providers.http import MAX_BODY_BYTES
from tests.support.oracle_calls import KEY, NAMES, QUESTION, Shape, ask, ask_at
from tests.support.oracle_server import (
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    Behaviour,
    busy,
    fails,
    good,
    raw,
    says,
    serving,
    within,
)


@pytest.fixture(params=["gemini", "openai"])
def shape(request: pytest.FixtureRequest) -> Shape:
    found: Shape = request.param
    return found


def test_a_good_answer_comes_with_its_version_its_tokens_and_its_hash(shape: Shape) -> None:
    """Thinking is output: providers bill it so."""
    reply = ask(shape, good(version="model-x-2026-11-01"))

    assert reply.outcome == "answered"
    assert read_answer(reply.text, NAMES).scores == dict.fromkeys(NAMES, 6)
    assert reply.model_version == "model-x-2026-11-01"
    assert reply.tokens == (INPUT_TOKENS, OUTPUT_TOKENS)
    assert reply.answer_hash is not None and reply.answer_hash.startswith("sha256:")
    assert reply.fingerprint == ("fp_1" if shape == "openai" else None)


def test_the_question_is_the_prompt_the_text_and_the_schema(shape: Shape) -> None:
    """The key stands in a header, never in the address; no option is sent that was not set."""
    with serving() as server:
        ask_at(server.url, shape)
        ask_at(server.url, shape, thinking="low", temperature=0.5)
    plain, set_up = server.calls
    sent = json.dumps(plain.body)

    assert plain.text == QUESTION.text
    assert plain.dimensions == list(NAMES)
    assert json.dumps(QUESTION.prompt.instructions)[1:-1] in sent
    assert KEY not in plain.path + sent
    header = "x-goog-api-key" if shape == "gemini" else "authorization"
    assert plain.headers[header].endswith(KEY)
    assert "temperature" not in sent and "thinking" not in sent and "reasoning_effort" not in sent
    assert '"temperature": 0.5' in json.dumps(set_up.body)
    assert '"low"' in json.dumps(set_up.body)


def test_gemini_takes_its_own_dialect_and_a_budget_of_thoughts() -> None:
    """Types in capitals, an order to write in; a number is a budget for older models."""
    with serving() as server:
        ask_at(server.url, "gemini", thinking="128")
    config = server.calls[0].body["generationConfig"]

    assert server.calls[0].path == "/v1/models/model-x:generateContent"
    assert config["thinkingConfig"] == {"thinkingBudget": 128}
    assert config["responseSchema"]["type"] == "OBJECT"
    assert config["responseSchema"]["propertyOrdering"][-1] == "scores"
    assert "additionalProperties" not in json.dumps(config)


@pytest.mark.parametrize(
    ("shape", "behaviour", "reason"),
    [
        ("gemini", says("", finish="SAFETY"), "SAFETY"),
        ("gemini", says("{}", finish="PROHIBITED_CONTENT"), "PROHIBITED_CONTENT"),
        ("gemini", raw(b'{"promptFeedback": {"blockReason": "BLOCKLIST"}}'), "BLOCKLIST"),
        ("openai", says("{}", refusal="I will not."), "I will not"),
        ("openai", says("", finish="content_filter"), "content_filter"),
    ],
)
def test_a_refusal_is_told_from_a_bad_answer(
    shape: Shape, behaviour: Behaviour, reason: str
) -> None:
    """By the model or by its provider."""
    reply = ask(shape, behaviour)

    assert reply.outcome == "refused"
    assert reason in reply.reason


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (says('{"scores": {"agency"', finish="MAX_TOKENS"), "not finished"),
        (says("{}", finish="length"), "not finished"),
        (raw(b"<html>welcome to the hotel's network</html>"), "in the answer"),
        (raw(b"[]"), "in the answer"),
        (raw(b"{}"), "in the answer"),
        (raw(b"\xff\xfe"), "in the answer"),
        (raw(b'{"choices": [], "candidates": []}'), "in the answer"),
        (raw(b'{"choices": [5], "candidates": [5]}'), "in the answer"),
        (raw(b'{"choices": "x", "candidates": {"a": 1}}'), "in the answer"),
        (raw(b"x" * (3 * MAX_BODY_BYTES)), "in the answer"),
    ],
)
def test_what_came_back_and_is_no_answer_counts_as_a_bad_one(
    shape: Shape, behaviour: Behaviour, reason: str
) -> None:
    """It is paid for, as far as anybody knows; nothing of it is used."""
    reply = ask(shape, behaviour)

    assert reply.outcome == "answered"
    assert reply.text == ""
    assert reason in reply.reason


def test_a_server_that_says_nothing_of_tokens_is_taken_at_the_most(shape: Shape) -> None:
    """None here; who pays assumes the worst."""
    reply = ask(shape, says("{}", usage=False))

    assert reply.tokens is None


@pytest.mark.parametrize(
    "behaviour",
    [
        raw(b"", is_dropped=True),
        raw(b'{"candidates"', promised_bytes=500),
        raw(b"{}", delay_seconds=2),
    ],
    ids=["dropped", "cut off", "slow"],
)
def test_a_call_without_a_whole_answer_may_have_been_paid_for(
    shape: Shape, behaviour: Behaviour
) -> None:
    """Broken off, or not in time."""
    started = time.monotonic()

    reply = ask(shape, behaviour, timeout_seconds=0.3)

    assert reply.outcome == "unanswered"
    assert reply.may_be_paid
    assert time.monotonic() - started < 1.9


def test_a_body_that_trickles_in_is_given_up_in_time() -> None:
    """Each byte comes within the time-out, the answer does not."""
    reply = ask("openai", raw(b"{" * 40, trickle_seconds=0.05), timeout_seconds=0.3)

    assert reply.outcome == "unanswered"
    assert "incomplete" in reply.reason


@pytest.mark.parametrize(
    ("behaviour", "seconds"),
    [
        (busy("12.5s"), 12.5),
        (fails(429, headers={"Retry-After": "7"}), 7.0),
        (fails(503, "overloaded"), None),
        (fails(500), None),
        (raw(b"Bad Gateway", 502), None),
        (fails(408), None),
        (raw(b'[{"error": {"code": 429, "message": "in a list"}}]', 429), None),
    ],
)
def test_a_call_that_was_turned_away_is_not_paid_for(
    shape: Shape, behaviour: Behaviour, seconds: float | None
) -> None:
    """With the advice when to come back, in either of its forms."""
    reply = ask(shape, behaviour)

    assert reply.outcome == "busy"
    assert not reply.may_be_paid
    assert reply.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("behaviour", "is_suspect"),
    [
        (fails(500), True),
        (raw(b"Bad Gateway", 502), True),
        (raw(b"", 504), True),
        (within(200, code=500, message="no"), True),
        (fails(503), False),
        (fails(429), False),
        (within(200, code=429, message="no"), False),
    ],
)
def test_a_fault_may_be_the_articles_and_an_absence_is_not(
    shape: Shape, behaviour: Behaviour, *, is_suspect: bool
) -> None:
    """Whichever way it is said: other articles go first then, to see whose it is."""
    reply = ask(shape, behaviour)

    assert reply.outcome == "busy"
    assert reply.has_failed is is_suspect


def test_nobody_there_is_a_reason_to_come_back(shape: Shape) -> None:
    """Nothing was sent, nothing is paid for."""
    with serving() as server:
        url = server.url

    reply = ask_at(url, shape)

    assert reply.outcome == "busy"
    assert "no connection" in reply.reason


@pytest.mark.parametrize(
    ("behaviour", "advice"),
    [
        (fails(401, "bad key"), "NEWSIEVE_ORACLE__API_KEY"),
        (fails(403), "another key"),
        (fails(404, "no model model-x"), "NEWSIEVE_ORACLE__MODEL"),
        (fails(402), "credit"),
    ],
)
def test_what_a_person_has_to_mend_says_what_to_do(
    shape: Shape, behaviour: Behaviour, advice: str
) -> None:
    """Asking again would not help."""
    reply = ask(shape, behaviour)

    assert reply.outcome == "denied" and not reply.may_be_paid
    assert advice in reply.reason and "127.0.0.1" in reply.reason


def test_a_redirect_is_not_followed_with_the_key(shape: Shape) -> None:
    """Whoever stands at the other end was not asked for."""
    with serving() as elsewhere:
        there = {"Location": f"{elsewhere.url}/?key={KEY}"}
        reply = ask(shape, raw(b"", 307, headers=there))

    assert reply.outcome == "denied" and "NEWSIEVE_ORACLE__ENDPOINT" in reply.reason
    assert elsewhere.calls == []
    assert KEY not in reply.reason


@pytest.mark.parametrize("status", [400, 418, 422])
def test_a_bad_request_is_for_others_to_judge(shape: Shape, status: int) -> None:
    """It may be this article, or the way all are asked."""
    reply = ask(shape, fails(status, "too many tokens"))

    assert reply.outcome == "rejected"
    assert "too many tokens" in reply.reason
