"""Any endpoint that speaks OpenAI's chat completions, with a JSON Schema for the answer.

Field names are those of POST /chat/completions, whose dialects differ: in how an answer ends, in
what its content is, and in the name of the limit on its tokens.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from newsieve.oracle.prompt import LabelPrompt
from newsieve.oracle.providers import failures
from newsieve.oracle.providers.base import ANSWERED, REFUSED, ProviderResponse, Tokens, hash_of
from newsieve.oracle.providers.http import REASON_CHARACTERS, Body
from newsieve.oracle.providers.http_provider import HttpProvider, KeyHeader
from newsieve.oracle.providers.registry import ProviderOptions
from newsieve.outgoing.redaction import Redactor

PATH: Final = "/chat/completions"
SCHEMA_NAME: Final = "label"

LIMIT: Final = "max_completion_tokens"
OLD_LIMIT: Final = "max_tokens"  # Mistral, and servers of models without thoughts

_FINISHED: Final = frozenset({"stop", "eos", "eos_token"})
_CUT_OFF: Final = frozenset({"length", "model_length", "max_tokens"})
_FILTERED: Final = "content_filter"
TEXT: Final = "text"


class OpenAIOptions(ProviderOptions):
    """What can be set for an endpoint of this kind alone."""

    service_tier: Literal["auto", "default", "flex", "priority"] | None = Field(
        default=None,
        description="flex: slower, for less money, where the provider has it. Default: not sent.",
    )


class OpenAIChat(HttpProvider[OpenAIOptions]):
    """Any model behind an endpoint that speaks OpenAI's chat completions."""

    default_endpoint: ClassVar[str] = "https://api.openai.com/v1"
    key_header: ClassVar[KeyHeader] = ("authorization", "Bearer ")
    options_model: ClassVar[type[ProviderOptions]] = OpenAIOptions

    _limit = LIMIT  # the name by which the endpoint knows the limit, once it has refused the other

    def complete(self, prompt: LabelPrompt) -> ProviderResponse:
        """Make one call, or a second where the endpoint knows the token limit by its old name."""
        limit = self._limit
        body = self._endpoint.post(PATH, self._request(prompt, limit))
        if limit == LIMIT and isinstance(body, Body) and body.refuses(LIMIT):
            body = self._endpoint.post(PATH, self._request(prompt, OLD_LIMIT))
            if isinstance(body, Body) and not body.refuses(OLD_LIMIT):
                self._limit = OLD_LIMIT
        return body if isinstance(body, ProviderResponse) else self._read(body)

    def _request(self, prompt: LabelPrompt, limit: str) -> dict[str, Any]:
        sent = prompt.framed(self._draw)
        request: dict[str, Any] = {
            "model": self._config.model,
            "messages": [
                {"role": "system", "content": sent.instructions},
                {"role": "user", "content": sent.text},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": SCHEMA_NAME,
                    "strict": True,
                    "schema": prompt.prompt.schema,
                },
            },
            limit: self._max_output_tokens,
        }
        if self._config.temperature is not None:
            request["temperature"] = self._config.temperature
        if self._config.thinking is not None:
            request["reasoning_effort"] = self._config.thinking
        if self._options.service_tier is not None:
            request["service_tier"] = self._options.service_tier
        return request

    def _read(self, body: Body) -> ProviderResponse:
        if body.is_error:
            return self._endpoint.judge(body)
        choice = _first(body.json, "choices")
        if failures.has_error(choice):  # a gateway's: the provider behind it failed
            return self._endpoint.judge(body._replace(json=choice))
        return _reply(body, choice, self._endpoint.mask)


def _reply(body: Body, choice: dict[str, Any], mask: Redactor) -> ProviderResponse:
    answer = body.json or {}
    common: dict[str, Any] = {
        "model_version": mask(_string(answer.get("model"))),
        "fingerprint": mask(_string(answer.get("system_fingerprint"))) or None,
        "tokens": _tokens(answer.get("usage")),
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


def _first(answer: dict[str, Any] | None, name: str) -> dict[str, Any]:
    values = (answer or {}).get(name)
    first = values[0] if isinstance(values, list) and values else None
    return first if isinstance(first, dict) else {}


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


KIND: Final = OpenAIChat.kind()
