"""Decides whose fault a failed call is, from its status and its body. Pure.

Providers use one status for many things: 403 is a wrong key or one moderated article, 429 a rate
limit or an empty account, 400 anything. So the body counts first, its codes and what it says, and
the status last. What is unknown is nobody's fault yet: how other articles fare will say whose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

import orjson

# article   it is not answered, whoever asks
# access    the key, what it may, what is left on the account: nothing is answered
# request   how all articles are asked (model, address, a parameter): nothing is answered
# provider  it is away, or wants us to wait: ask again
# unknown   the article, or how all are asked
Whose = Literal["article", "access", "request", "provider", "unknown"]

KEY_ADVICE: Final = "Set NEWSIEVE_ORACLE__API_KEY to a key that is valid"
QUOTA_ADVICE: Final = (
    "The account's quota or credit is used up: top it up, or raise its limit at the provider"
)
MAY_NOT_ADVICE: Final = (
    "The key may not use this model: see the provider's console, or set another key"
)
PROXY_ADVICE: Final = "The proxy in between wants a user: see HTTPS_PROXY"
MODEL_ADVICE: Final = (
    "No such model or path: check NEWSIEVE_ORACLE__MODEL and NEWSIEVE_ORACLE__ENDPOINT"
)
PARAMETER_ADVICE: Final = (
    "Check NEWSIEVE_ORACLE__MODEL, __THINKING, __TEMPERATURE and __MAX_OUTPUT_TOKENS"
)
REDIRECT_ADVICE: Final = "The key is not sent elsewhere: set NEWSIEVE_ORACLE__ENDPOINT"
TOO_LONG_ADVICE: Final = (
    "The article is too long for the model: lower NEWSIEVE_ORACLE__ARTICLE_CHARACTERS"
)
PER_DAY_ADVICE: Final = (
    "The quota of the day is used up: it is asked again until there is a new one"
)

OK: Final = 200
# Faults that a single article may bring about, at the provider or at one behind a gateway. The
# others speak of an absence.
FAILED: Final = frozenset({500, 502, 504})


class CallFailure(NamedTuple):
    """A failed call: whose fault it is, what the provider says (not masked), and what to do."""

    whose: Whose
    message: str
    advice: str


class _Rule(NamedTuple):
    """A rule that holds when one of its codes is in the body, or its pattern in the messages."""

    whose: Whose
    advice: str
    codes: frozenset[str]
    says: re.Pattern[str] | None = None


def _rule(whose: Whose, advice: str, codes: str, says: str | None = None) -> _Rule:
    pattern = re.compile(says, re.IGNORECASE) if says is not None else None
    return _Rule(whose, advice, frozenset(codes.split()), pattern)


# The first that holds. Codes are compared in lower case.
_RULES: Final = (
    _rule(
        "article",
        "",
        "content_filter responsibleaipolicyviolation content_policy_violation invalid_prompt "
        "data_inspection_failed datainspectionfailed moderation_blocked prohibited_content "
        "flagged_input",
        "content management policy|SAFETY_CHECK_TYPE",
    ),
    _rule(
        "access",
        QUOTA_ADVICE,
        "insufficient_quota insufficient_balance insufficient_credits insufficient_user_quota "
        "exceeded_current_quota_error billing_hard_limit_reached billing_not_active billing_error",
        "insufficient balance|credit balance is too low|key limit exceeded|, limit: 0\\b",
    ),
    _rule(
        "access",
        KEY_ADVICE,
        "api_key_invalid api_key_expired invalid_api_key authentication_error unauthenticated "
        "invalid_authentication_error account_deactivated",
        "api key (not valid|not found|expired)|(invalid|incorrect) api key",
    ),
    _rule(  # larger than all that may be sent in a minute is a rate limit to some
        "unknown",
        TOO_LONG_ADVICE,
        "context_length_exceeded string_above_max_length request_too_large",
        "maximum context length|token count.{0,40} exceeds|prompt is too long|request too large",
    ),
    _rule(
        "request",
        PARAMETER_ADVICE,
        "unsupported_parameter unsupported_value unknown_parameter extra_forbidden "
        "invalid_json_schema",
    ),
    _rule(
        "request",
        MODEL_ADVICE,
        "model_not_found model_not_available model_decommissioned invalid_model deploymentnotfound "
        "not_found not_found_error",
    ),
    _rule(  # failed_precondition is Gemini's: no billing, or not from this country
        "access",
        MAY_NOT_ADVICE,
        "permission_denied permission_error failed_precondition service_disabled "
        "api_key_service_blocked unsupported_country_region_territory",
    ),
    _rule(
        "provider",
        "",
        "rate_limit_exceeded rate_limit_error rate_limit_reached resource_exhausted unavailable "
        "overloaded_error engine_overloaded server_error internal_server_error service_unavailable",
    ),
)
_BY_STATUS: Final[Mapping[int, tuple[Whose, str]]] = {
    401: ("access", KEY_ADVICE),
    402: ("access", QUOTA_ADVICE),
    403: ("access", MAY_NOT_ADVICE),
    404: ("request", MODEL_ADVICE),
    405: ("request", MODEL_ADVICE),
    407: ("access", PROXY_ADVICE),
    408: ("provider", ""),
    409: ("provider", ""),
    410: ("request", MODEL_ADVICE),
    413: ("unknown", TOO_LONG_ADVICE),
    425: ("provider", ""),
    429: ("provider", ""),
    498: ("provider", ""),  # Groq's: no capacity is left
}
_REDIRECTS: Final = range(300, 400)
_FAULTS: Final = range(500, 600)
_STATUSES: Final = range(100, 600)
_STATUS: Final = re.compile("[1-5][0-9]{2}")
# Where errors stand, and those of providers behind a gateway, as objects or as JSON in a string.
_INSIDE: Final = (
    *("error", "errors", "detail", "details", "innererror", "metadata", "message", "raw", "data"),
    "violations",
)
_DEPTH: Final = 6  # of errors in errors
# Of what it says. Behind that a body may repeat the request, and an article's words decide nothing.
_TELLING_CHARACTERS: Final = 1_000
_CODES: Final = ("code", "type", "status", "reason", "error_type")
_MESSAGES: Final = ("message", "msg", "detail", "error", "error_msg")
_OF_A_VALUE: Final = re.compile(r"too (large|big|high)|at (most|least)|(less|greater) than")
_PER_DAY: Final = re.compile(r"per_?day", re.IGNORECASE)


def sort(status: int, body: Mapping[str, Any] | None, raw: str = "") -> CallFailure:
    """Return whose fault it is that a call brought no answer. `body` is its body as JSON, `raw` as
    text."""
    parts = list(_parts(body, _DEPTH))
    messages = list(dict.fromkeys(text for part in parts for text in _messages(part)))
    codes = {code for part in parts for code in _codes_of(part)}
    message = ": ".join(messages) or ("" if body else raw)
    said = message[:_TELLING_CHARACTERS]
    for rule in _RULES:
        if rule.codes & codes or (rule.says is not None and rule.says.search(said)):
            is_per_day = rule.whose == "provider" and _PER_DAY.search(said)
            return CallFailure(rule.whose, message, PER_DAY_ADVICE if is_per_day else rule.advice)
    whose, advice = _by_status(status_of(status, body))
    return CallFailure(whose, message, advice)


def status_of(status: int, body: Mapping[str, Any] | None) -> int:
    """Return the status, or for a body of status 200 the one that it gives, 0 where it gives
    none."""
    return status if status != OK else _status_in(_parts(body, _DEPTH))


def refuses(status: int, body: Mapping[str, Any] | None, raw: str, parameter: str) -> bool:
    """Whether the provider does not know a parameter of this name, whatever its value is."""
    fault = sort(status, body, raw)
    said = " ".join([fault.message, *(str(part.get("param")) for part in _parts(body, _DEPTH))])
    return (
        fault.whose in ("request", "unknown")
        and re.search(rf"\b{re.escape(parameter)}\b", said) is not None
        and _OF_A_VALUE.search(said) is None
    )


def has_error(body: Mapping[str, Any] | None) -> bool:
    """Whether a body of status 200 is an error all the same."""
    return body is not None and bool(body.get("error") or body.get("object") == "error")


def _by_status(status: int) -> tuple[Whose, str]:
    if status in _FAULTS:
        return "provider", ""
    if status in _REDIRECTS:
        return "request", REDIRECT_ADVICE
    return _BY_STATUS.get(status, ("unknown", ""))


def _parts(value: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    """Yield the object, and all objects in it at the places of errors."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return
    if depth == 0:
        return
    if isinstance(value, list):
        for item in value:
            yield from _parts(item, depth - 1)
    elif isinstance(value, dict):
        yield value
        for name in _INSIDE:
            yield from _parts(value.get(name), depth - 1)


def _codes_of(part: Mapping[str, Any]) -> Iterator[str]:
    yield from (value.lower() for name in _CODES if isinstance(value := part.get(name), str))
    if "flagged_input" in part:  # OpenRouter's, beside the reasons
        yield "flagged_input"


def _messages(part: Mapping[str, Any]) -> Iterator[str]:
    """Yield its messages to people, with the place in the request if it says one, and the name of a
    quota."""
    where = part.get("loc")
    place = ".".join(map(str, where)) + ": " if isinstance(where, list) else ""
    for name in _MESSAGES:
        text = part.get(name)
        if isinstance(text, str) and text and text.lstrip()[:1] not in ("{", "["):
            yield place + text
    if isinstance(part.get("quotaId"), str):
        yield part["quotaId"]


def _status_in(parts: Iterable[Mapping[str, Any]]) -> int:
    for part in parts:
        code = part.get("code")
        if isinstance(code, str) and _STATUS.fullmatch(code):
            code = int(code)
        if type(code) is int and code in _STATUSES:
            return code
    return 0
