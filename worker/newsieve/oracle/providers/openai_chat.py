"""Any endpoint that speaks OpenAI's chat completions, with a JSON Schema for the answer.

Field names are those of POST /chat/completions, whose dialects differ: in how an answer ends, in
what its content is, and in the name of the limit on its tokens.
"""

from __future__ import annotations

from typing import Any, Final

from newsieve.oracle.prompt import LabelPrompt, OracleConfig
from newsieve.oracle.prompt_frame import Draw, random_word
from newsieve.oracle.providers import failures
from newsieve.oracle.providers.base import ANSWERED, REFUSED, ProviderResponse, Tokens, hash_of
from newsieve.oracle.providers.http import REASON_CHARACTERS, Body, Endpoint
from newsieve.oracle.redaction import Redactor

ENDPOINT: Final = "https://api.openai.com/v1"
KEY_HEADER: Final = ("authorization", "Bearer ")
PATH: Final = "/chat/completions"
SCHEMA_NAME: Final = "label"

LIMIT: Final = "max_completion_tokens"
OLD_LIMIT: Final = "max_tokens"  # Mistral, and servers of models without thoughts

_FINISHED: Final = frozenset({"stop", "eos", "eos_token"})
_CUT_OFF: Final = frozenset({"length", "model_length", "max_tokens"})
_FILTERED: Final = "content_filter"
TEXT: Final = "text"


class OpenAIChat:
    """Any model behind such an endpoint."""

    def __init__(
        self,
        endpoint: Endpoint,
        asked: OracleConfig,
        max_output_tokens: int,
        draw: Draw = random_word,
    ) -> None:
        """`draw` gives the word of each call's boundary around the article."""
        self._endpoint = endpoint
        self._asked = asked
        self._max_output_tokens = max_output_tokens
        self._draw = draw
        self._limit = LIMIT

    def ask(self, question: LabelPrompt) -> ProviderResponse:
        limit = self._limit
        body = self._endpoint.post(PATH, self._request(question, limit))
        if limit == LIMIT and isinstance(body, Body) and body.refuses(LIMIT):
            body = self._endpoint.post(PATH, self._request(question, OLD_LIMIT))
            if isinstance(body, Body) and not body.refuses(OLD_LIMIT):
                self._limit = OLD_LIMIT
        return body if isinstance(body, ProviderResponse) else self._read(body)

    def close(self) -> None:
        self._endpoint.close()

    def _request(self, question: LabelPrompt, limit: str) -> dict[str, Any]:
        sent = question.framed(self._draw)
        request: dict[str, Any] = {
            "model": self._asked.model,
            "messages": [
                {"role": "system", "content": sent.instructions},
                {"role": "user", "content": sent.text},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": SCHEMA_NAME,
                    "strict": True,
                    "schema": question.prompt.schema,
                },
            },
            limit: self._max_output_tokens,
        }
        if self._asked.temperature is not None:
            request["temperature"] = self._asked.temperature
        if self._asked.thinking is not None:
            request["reasoning_effort"] = self._asked.thinking
        return request

    def _read(self, body: Body) -> ProviderResponse:
        if body.is_error:
            return self._endpoint.judge(body)
        choice = _first(body.facts, "choices")
        if failures.has_error(choice):  # a gateway's: the provider behind it failed
            return self._endpoint.judge(body._replace(facts=choice))
        return _reply(body, choice, self._endpoint.mask)


def _reply(body: Body, choice: dict[str, Any], mask: Redactor) -> ProviderResponse:
    facts = body.facts or {}
    common: dict[str, Any] = {
        "model_version": mask(_string(facts.get("model"))),
        "fingerprint": mask(_string(facts.get("system_fingerprint"))) or None,
        "tokens": _tokens(facts.get("usage")),
        "answer_hash": hash_of(body.raw),
        "mask": mask,
    }
    message, finish = choice.get("message"), choice.get("finish_reason")
    if not isinstance(message, dict):
        return ProviderResponse(ANSWERED, reason="no choice with a message in the answer", **common)
    refusal = mask.line(_string(message.get("refusal")), REASON_CHARACTERS)
    if refusal:
        return ProviderResponse(REFUSED, reason=f"refused: {refusal}", **common)
    if finish == _FILTERED:
        return ProviderResponse(REFUSED, reason=f"finished for {finish}", **common)
    if isinstance(finish, str) and finish in _CUT_OFF:
        return ProviderResponse(
            ANSWERED, reason=f"not finished: {finish}", is_cut_off=True, **common
        )
    if finish is not None and str(finish) not in _FINISHED:
        shown = mask.line(str(finish), REASON_CHARACTERS)
        return ProviderResponse(ANSWERED, reason=f"not finished: {shown}", **common)
    return ProviderResponse(ANSWERED, text=_text(message.get("content")), **common)


def _text(content: Any) -> str:
    """A string, or all parts of a list that are text; thoughts are parts of their own."""
    if not isinstance(content, list):
        return _string(content)
    parts = (part for part in content if isinstance(part, dict) and part.get("type") == TEXT)
    return "".join(_string(part.get("text")) for part in parts)


def _tokens(usage: Any) -> Tokens | None:
    if not isinstance(usage, dict):
        return None
    sent, received = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not isinstance(sent, int) or not isinstance(received, int) or min(sent, received) < 0:
        return None
    return Tokens(sent, received)


def _first(facts: dict[str, Any] | None, name: str) -> dict[str, Any]:
    found = (facts or {}).get(name)
    first = found[0] if isinstance(found, list) and found else None
    return first if isinstance(first, dict) else {}


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
