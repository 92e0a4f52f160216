"""What those who say that they speak a provider's language send instead."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from tests.support.oracle_calls import QUESTION, Shape, ask, ask_at, provider
from tests.support.oracle_server import (
    Behaviour,
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


@pytest.mark.parametrize("finish", ["stop", "eos", "eos_token", None])
def test_an_answer_may_end_in_other_words(finish: str | None) -> None:
    """Servers of open models say so, or say nothing."""
    reply = ask("openai", says('{"scores": {}}', finish=finish))

    assert (reply.outcome, reply.text) == ("answered", '{"scores": {}}')


@pytest.mark.parametrize(
    ("shape", "finish"),
    [("gemini", "MAX_TOKENS"), ("openai", "length"), ("openai", "model_length")],
)
def test_an_answer_that_its_limit_cut_off_is_known_as_such(shape: Shape, finish: str) -> None:
    """Asked again with the same limit it would be cut off again."""
    assert ask(shape, says('{"scores"', finish=finish)).is_cut_off


def test_content_may_be_a_list_of_parts() -> None:
    """The text is all of its texts; thoughts are none."""
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": '{"scores":'},
        {"type": "text", "text": " {}}"},
        5,
    ]

    assert ask("openai", says(parts)).text == '{"scores": {}}'


UNKNOWN_LIMIT = [
    fails(400, "Unsupported parameter: 'max_completion_tokens'", code="unsupported_parameter"),
    fails(400, "Unrecognized request argument supplied: max_completion_tokens"),
    raw(
        b'{"object": "error", "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", '
        b'"max_completion_tokens"], "msg": "Extra inputs are not permitted", "input": 512}]}, '
        b'"type": "invalid_request_error", "param": null, "code": null}',
        422,
    ),
    raw(
        b'{"detail": [{"type": "extra_forbidden", "loc": ["body", "max_completion_tokens"], '
        b'"msg": "Extra inputs are not permitted"}]}',
        422,
    ),
]


@pytest.mark.parametrize("behaviour", UNKNOWN_LIMIT, ids=["openai", "old", "mistral", "fastapi"])
def test_a_server_that_knows_the_limit_by_its_old_name_is_asked_by_that(
    behaviour: Behaviour,
) -> None:
    """Once, and from then on; the article that found it out is asked again, and no other."""
    with serving(behaviour, good()) as server, closing(provider("openai", server.url)) as asked:
        replies = [asked.complete(QUESTION), asked.complete(QUESTION)]

    assert [reply.outcome for reply in replies] == ["answered", "answered"]
    sent = [next(name for name in call.body if name.startswith("max_")) for call in server.calls]
    assert sent == ["max_completion_tokens", "max_tokens", "max_tokens"]


def test_a_limit_that_is_too_high_is_not_a_name_that_is_unknown() -> None:
    """Another name would not help."""
    with serving(fails(400, "max_completion_tokens is too large: 512")) as server:
        reply = ask_at(server.url, "openai")

    assert reply.outcome == "rejected"
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("behaviour", "outcome", "reason"),
    [
        (within(200, code=429, message="slow down"), "busy", "slow down"),
        (within(200, code="429", message="slow down"), "busy", "slow down"),
        (within(200, code=502, message="upstream"), "busy", "upstream"),
        (within(200, code=401, message="No auth credentials found"), "denied", "API_KEY"),
        (within(200, message="strange"), "rejected", "strange"),
    ],
)
def test_an_error_inside_a_good_status_is_none_the_less_one(
    shape: Shape, behaviour: Behaviour, outcome: str, reason: str
) -> None:
    """A rate limit, not an answer; nothing of it is paid for."""
    reply = ask(shape, behaviour)

    assert reply.outcome == outcome and not reply.may_be_paid
    assert reason in reply.reason


def test_an_error_inside_a_choice_is_sorted_like_any_other() -> None:
    """A gateway began to answer, and the provider behind it broke off."""
    choice = {"error": {"code": 502, "message": "upstream"}, "finish_reason": "error"}
    reply = ask("openai", raw(json.dumps({"choices": [choice], "model": "m"}).encode()))

    assert (reply.outcome, reply.may_be_paid) == ("busy", False)
