"""Gemini: generateContent over REST, with structured output.

Field names are the Gemini API's, v1beta.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from newsieve.oracle.prompt import LabelPrompt, OracleConfig
from newsieve.oracle.prompt_frame import Draw, random_word
from newsieve.oracle.providers.base import ANSWERED, REFUSED, ProviderResponse, Tokens, hash_of
from newsieve.oracle.providers.http import REASON_CHARACTERS, Body, Endpoint
from newsieve.oracle.redaction import Redactor

ENDPOINT: Final = "https://generativelanguage.googleapis.com/v1beta"
KEY_HEADER: Final = ("x-goog-api-key", "")
MODELS: Final = "models/"

_FINISHED: Final = "STOP"
_CUT_OFF: Final = "MAX_TOKENS"
_REFUSALS: Final = frozenset(
    {"SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "RECITATION", "SPII", "LANGUAGE"}
)


class Gemini:
    """Any model that generateContent serves."""

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
        model = quote(asked.model.removeprefix(MODELS), safe="")
        self._path = f"/{MODELS}{model}:generateContent"

    def ask(self, question: LabelPrompt) -> ProviderResponse:
        body = self._endpoint.post(self._path, self._request(question))
        if isinstance(body, ProviderResponse):
            return body
        return self._endpoint.judge(body) if body.is_error else _reply(body, self._endpoint.mask)

    def close(self) -> None:
        self._endpoint.close()

    def _request(self, question: LabelPrompt) -> dict[str, Any]:
        config: dict[str, Any] = {
            "responseMimeType": "application/json",
            "responseSchema": _schema(question.prompt.schema),
            "maxOutputTokens": self._max_output_tokens,
        }
        if self._asked.temperature is not None:
            config["temperature"] = self._asked.temperature
        if self._asked.thinking is not None:
            config["thinkingConfig"] = _thinking(self._asked.thinking)
        sent = question.framed(self._draw)
        return {
            "systemInstruction": {"parts": [{"text": sent.instructions}]},
            "contents": [{"role": "user", "parts": [{"text": sent.text}]}],
            "generationConfig": config,
        }


def _thinking(level: str) -> dict[str, Any]:
    """A level's name for newer models; for older ones a budget in tokens."""
    return {"thinkingBudget": int(level)} if level.isdigit() else {"thinkingLevel": level}


def _schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """JSON Schema in Gemini's own dialect, which also says in which order to write."""
    found: dict[str, Any] = {"type": schema["type"].upper()}
    for limit in ("minimum", "maximum", "required"):
        if limit in schema:
            found[limit] = schema[limit]
    if "items" in schema:
        found["items"] = _schema(schema["items"])
    if "properties" in schema:
        found["properties"] = {name: _schema(item) for name, item in schema["properties"].items()}
        found["propertyOrdering"] = list(schema["properties"])
    return found


def _reply(body: Body, mask: Redactor) -> ProviderResponse:
    facts = body.facts or {}
    common: dict[str, Any] = {
        "model_version": mask(_string(facts.get("modelVersion"))),
        "tokens": _tokens(facts.get("usageMetadata")),
        "answer_hash": hash_of(body.raw),
        "mask": mask,
    }

    def shown(text: str) -> str:
        return mask.line(text, REASON_CHARACTERS)

    candidate = _first(facts.get("candidates"))
    feedback = facts.get("promptFeedback")
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
