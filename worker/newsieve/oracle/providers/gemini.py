"""Gemini: generateContent over REST, with structured output.

Field names are the Gemini API's, v1beta.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal
from urllib.parse import quote

from pydantic import Field

from newsieve.oracle.prompt import LabelPrompt
from newsieve.oracle.providers.base import ANSWERED, REFUSED, ProviderResponse, Tokens, hash_of
from newsieve.oracle.providers.http import REASON_CHARACTERS, Body
from newsieve.oracle.providers.http_provider import HttpProvider, KeyHeader
from newsieve.oracle.providers.registry import ProviderOptions
from newsieve.outgoing.redaction import Redactor

MODELS: Final = "models/"

_FINISHED: Final = "STOP"
_CUT_OFF: Final = "MAX_TOKENS"
_REFUSALS: Final = frozenset(
    {"SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "RECITATION", "SPII", "LANGUAGE"}
)
_HARM_CATEGORIES: Final = (
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
)


class GeminiOptions(ProviderOptions):
    """What can be set for Gemini alone."""

    safety_threshold: (
        Literal["OFF", "BLOCK_NONE", "BLOCK_ONLY_HIGH", "BLOCK_MEDIUM_AND_ABOVE"] | None
    ) = Field(
        default=None,
        description="The harm from which Gemini refuses an article, in all four categories. "
        "Default: the model's own; news of wars and crimes may be refused by it.",
    )


class Gemini(HttpProvider[GeminiOptions]):
    """Any model that generateContent serves."""

    default_endpoint: ClassVar[str] = "https://generativelanguage.googleapis.com/v1beta"
    key_header: ClassVar[KeyHeader] = ("x-goog-api-key", "")
    options_model: ClassVar[type[ProviderOptions]] = GeminiOptions

    def complete(self, prompt: LabelPrompt) -> ProviderResponse:
        """Make one call, within the time limit of the endpoint."""
        model = quote(self._config.model.removeprefix(MODELS), safe="")
        body = self._endpoint.post(f"/{MODELS}{model}:generateContent", self._request(prompt))
        if isinstance(body, ProviderResponse):
            return body
        return self._endpoint.judge(body) if body.is_error else _reply(body, self._endpoint.mask)

    def _request(self, prompt: LabelPrompt) -> dict[str, Any]:
        config: dict[str, Any] = {
            "responseMimeType": "application/json",
            "responseSchema": _schema(prompt.prompt.schema),
            "maxOutputTokens": self._max_output_tokens,
        }
        if self._config.temperature is not None:
            config["temperature"] = self._config.temperature
        if self._config.thinking is not None:
            config["thinkingConfig"] = _thinking(self._config.thinking)
        sent = prompt.framed(self._draw)
        request: dict[str, Any] = {
            "systemInstruction": {"parts": [{"text": sent.instructions}]},
            "contents": [{"role": "user", "parts": [{"text": sent.text}]}],
            "generationConfig": config,
        }
        threshold = self._options.safety_threshold
        if threshold is not None:
            request["safetySettings"] = [
                {"category": category, "threshold": threshold} for category in _HARM_CATEGORIES
            ]
        return request


def _thinking(level: str) -> dict[str, Any]:
    """A level's name for newer models; for older ones a budget in tokens."""
    return {"thinkingBudget": int(level)} if level.isdigit() else {"thinkingLevel": level}


def _schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """JSON Schema in Gemini's own dialect, which also says in which order to write."""
    result: dict[str, Any] = {"type": schema["type"].upper()}
    for limit in ("minimum", "maximum", "required"):
        if limit in schema:
            result[limit] = schema[limit]
    if "items" in schema:
        result["items"] = _schema(schema["items"])
    if "properties" in schema:
        result["properties"] = {name: _schema(item) for name, item in schema["properties"].items()}
        result["propertyOrdering"] = list(schema["properties"])
    return result


def _reply(body: Body, mask: Redactor) -> ProviderResponse:
    answer = body.json or {}
    common: dict[str, Any] = {
        "model_version": mask(_string(answer.get("modelVersion"))),
        "tokens": _tokens(answer.get("usageMetadata")),
        "answer_hash": hash_of(body.raw),
        "mask": mask,
    }

    def shown(text: str) -> str:
        return mask.line(text, REASON_CHARACTERS)

    candidate = _first(answer.get("candidates"))
    feedback = answer.get("promptFeedback")
    blocked = feedback.get("blockReason") if isinstance(feedback, dict) else None
    if candidate is None and isinstance(blocked, str):
        return ProviderResponse(
            REFUSED, reason=f"the prompt was blocked: {shown(blocked)}", **common
        )
    if candidate is None:
        return ProviderResponse(ANSWERED, reason="no candidate in the answer", **common)
    finish = _string(candidate.get("finishReason"))
    if finish in _REFUSALS:
        return ProviderResponse(REFUSED, reason=f"finished for {finish}", **common)
    if finish == _CUT_OFF:
        return ProviderResponse(
            ANSWERED, reason=f"not finished: {finish}", is_cut_off=True, **common
        )
    if finish != _FINISHED:
        reason = f"not finished: {shown(finish) or 'no reason given'}"
        return ProviderResponse(ANSWERED, reason=reason, **common)
    return ProviderResponse(ANSWERED, text=_text(candidate.get("content")), **common)


def _text(content: Any) -> str:
    """All parts but the model's thoughts."""
    parts = content.get("parts") if isinstance(content, dict) else None
    return "".join(
        _string(part.get("text"))
        for part in (parts if isinstance(parts, list) else [])
        if isinstance(part, dict) and not part.get("thought")
    )


def _tokens(usage: Any) -> Tokens | None:
    if not isinstance(usage, dict):
        return None
    names = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    prompt, answer, thoughts = (_count(usage.get(name)) for name in names)
    return Tokens(prompt, answer + thoughts) if prompt else None


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0


def _first(value: Any) -> dict[str, Any] | None:
    first = value[0] if isinstance(value, list) and value else None
    return first if isinstance(first, dict) else None


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


KIND: Final = Gemini.kind()
