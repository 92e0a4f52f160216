"""Whose fault a failed call is: bodies as providers send them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from newsieve.oracle.providers.failures import sort


def error(code: Any = None, message: str = "no", **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, **more}}


def google(status: str, *details: dict[str, Any], message: str = "no") -> dict[str, Any]:
    return error(400, message, status=status, details=list(details))


def behind_a_gateway(body: dict[str, Any]) -> dict[str, Any]:
    metadata = {"raw": json.dumps(body), "provider_name": "Azure"}
    return error(400, "Provider returned error", metadata=metadata)


PER_DAY = {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}
FLAGGED = {"reasons": ["violence"], "flagged_input": "…", "provider_name": "OpenAI"}
NO_QUOTA = "You exceeded your current quota"

ARTICLE: dict[str, tuple[int, Any]] = {
    "OpenRouter, moderated": (403, error(403, "flagged", metadata=FLAGGED)),
    "Azure": (400, error("content_filter", "The response was filtered", param="prompt")),
    "Azure, inner": (400, error(None, innererror={"code": "ResponsibleAIPolicyViolation"})),
    "Azure behind OpenRouter": (400, behind_a_gateway(error("content_filter"))),
    "OpenAI": (400, error("invalid_prompt")),
    "Qwen": (400, error("data_inspection_failed")),
    "xAI": (403, {"code": "403", "error": "Content violates. Failed: SAFETY_CHECK_TYPE_BIO"}),
}
ACCESS: dict[str, tuple[int, Any]] = {
    "Gemini, key": (400, google("INVALID_ARGUMENT", {"reason": "API_KEY_INVALID"})),
    "Gemini, key in words": (400, google("INVALID_ARGUMENT", message="API key not valid.")),
    "Gemini, country": (400, google("FAILED_PRECONDITION", message="User location …")),
    "Gemini, rights": (403, google("PERMISSION_DENIED")),
    "Gemini, no quota at all": (429, google("RESOURCE_EXHAUSTED", message="Quota …, limit: 0")),
    "OpenAI, key": (401, error("invalid_api_key")),
    "OpenAI, quota": (429, error("insufficient_quota", NO_QUOTA, type="insufficient_quota")),
    "OpenAI, billing": (400, error("billing_hard_limit_reached")),
    "OpenAI, inactive": (429, error("billing_not_active")),
    "OpenRouter, credits": (402, error(402, "Insufficient credits")),
    "OpenRouter, limit of the key": (403, error(403, "Key limit exceeded (total limit)")),
    "DeepSeek": (400, error("invalid_request_error", "Insufficient Balance")),
    "Anthropic": (400, error("invalid_request_error", "Your credit balance is too low …")),
    "Moonshot": (429, error(None, type="exceeded_current_quota_error")),
    "an error in a 200": (200, error(401, "User not found.")),
    "a proxy": (407, None),
    "anything else that is forbidden": (403, None),
}
REQUEST: dict[str, tuple[int, Any]] = {
    "Gemini, model": (404, google("NOT_FOUND", message="models/x is not found")),
    "vLLM, model": (404, {"object": "error", "message": "The model `x` does not exist."}),
    "OpenAI, model": (400, error("model_not_found")),
    "OpenAI, parameter": (400, error("unsupported_value", param="temperature")),
    "Mistral": (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "x"], "msg": "no"}]}),
    "another path": (405, None),
}
PROVIDER: dict[str, tuple[int, Any]] = {
    "Gemini, per minute": (429, google("RESOURCE_EXHAUSTED", message=NO_QUOTA)),
    "Gemini, per day": (429, google("RESOURCE_EXHAUSTED", PER_DAY, message=NO_QUOTA)),
    "OpenAI": (429, error("rate_limit_exceeded")),
    "OpenRouter in a 200": (200, error(429, "slow down")),
    "Groq": (498, error(None, "flex tier capacity exceeded")),
    "Anthropic": (529, error(None, type="overloaded_error")),
    "a gateway without a body": (502, None),
    "a gateway's page": (503, None),
    "nginx": (504, None),
}
UNKNOWN: dict[str, tuple[int, Any]] = {
    "OpenAI, too long": (400, error("context_length_exceeded")),
    "vLLM, too long": (400, {"object": "error", "message": "This model's maximum context …"}),
    "Gemini, too long": (
        400,
        google("INVALID_ARGUMENT", message="The input token count (9) exceeds"),
    ),
    "Groq, a model that fails its schema": (400, error("json_validate_failed")),
    "a schema that is not taken": (400, error("invalid_request_error", "Invalid schema")),
    "OpenAI, larger than a minute's tokens": (
        429,
        error("rate_limit_exceeded", "Request too large for x: Limit 9, Requested 10"),
    ),
    "Groq, likewise": (413, error("rate_limit_exceeded", "Request too large for model `x`")),
    "no body": (400, None),
    "an unknown status": (418, error(418)),
    "an unknown error in a 200": (200, error(None)),
}
ALL = {
    (whose, name): case
    for whose, cases in (
        ("article", ARTICLE),
        ("access", ACCESS),
        ("request", REQUEST),
        ("provider", PROVIDER),
        ("unknown", UNKNOWN),
    )
    for name, case in cases.items()
}


@pytest.mark.parametrize(("whose", "name"), ALL, ids=lambda value: value.replace(" ", "-"))
def test_the_body_says_whose_fault_it_is_and_the_status_where_it_does_not(
    whose: str, name: str
) -> None:
    """403 is a key or an article, 429 a rate or an account, 400 anything."""
    status, facts = ALL[whose, name]

    assert sort(status, facts, "a page").whose == whose


def test_a_quota_is_said_as_such() -> None:
    """Not as a rate limit that passes; nor one that passes at midnight as an empty account."""
    assert "quota or credit is used up" in sort(*ACCESS["OpenAI, quota"]).advice
    assert "quota of the day" in sort(*PROVIDER["Gemini, per day"]).advice
    assert sort(*PROVIDER["Gemini, per minute"]).advice == ""


def test_the_provider_behind_a_gateway_is_heard() -> None:
    """Errors in errors, as objects and as JSON in a string."""
    found = sort(*ARTICLE["Azure behind OpenRouter"])

    assert found.message == "Provider returned error: no"


@pytest.mark.parametrize(
    "facts",
    [
        [],
        {"error": None},
        {"error": 5, "message": 5, "detail": {"loc": 5}},
        {"error": [[[[[[{"code": "insufficient_quota"}]]]]]]},
        {"message": "{" * 1_000},
        {"code": "5" * 5_000},
        {"error": {"metadata": {"raw": '{"error": '}}},
    ],
)
def test_a_strange_body_decides_nothing(facts: Any) -> None:
    """Read as far as it can be; the status counts then."""
    assert sort(500, facts).whose == "provider"
    assert sort(200, facts).whose == "unknown"


def test_an_article_that_is_sent_back_decides_nothing() -> None:
    """Some repeat the request in their complaint; its words are whoever wrote the article's."""
    repeated = [
        {"type": "strange", "msg": "no", "input": "insufficient balance, API key not valid"}
    ]

    assert sort(422, {"detail": repeated}).whose == "unknown"
