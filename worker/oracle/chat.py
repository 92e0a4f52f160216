"""Any endpoint that speaks OpenAI's chat completions, with a JSON Schema for the answer.

Field names are those of POST /chat/completions.
"""

from __future__ import annotations

from typing import Any, Final

from worker.oracle.http import Body, Endpoint
from worker.oracle.prompt import Asked, Question
from worker.oracle.provider import ANSWERED, REFUSED, Reply, Tokens, hash_of

ENDPOINT: Final = "https://api.openai.com/v1"
KEY_HEADER: Final = ("authorization", "Bearer ")
PATH: Final = "/chat/completions"
SCHEMA_NAME: Final = "label"

_FINISHED: Final = "stop"
_FILTERED: Final = "content_filter"


class Chat:
    """Any model behind such an endpoint."""

    def __init__(self, endpoint: Endpoint, asked: Asked, max_output_tokens: int) -> None:
        self._endpoint = endpoint
        self._asked = asked
        self._max_output_tokens = max_output_tokens

    def ask(self, question: Question) -> Reply:
        body = self._endpoint.post(PATH, self._request(question))
        return body if isinstance(body, Reply) else _reply(body)

    def close(self) -> None:
        self._endpoint.close()

    def _request(self, question: Question) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self._asked.model,
            "messages": [
                {"role": "system", "content": question.prompt.instructions},
                {"role": "user", "content": question.text},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": SCHEMA_NAME,
                    "strict": True,
                    "schema": question.prompt.schema,
                },
            },
            "max_completion_tokens": self._max_output_tokens,
        }
        if self._asked.temperature is not None:
            request["temperature"] = self._asked.temperature
        if self._asked.thinking is not None:
            request["reasoning_effort"] = self._asked.thinking
        return request


def _reply(body: Body) -> Reply:
    facts = body.facts or {}
    fingerprint = facts.get("system_fingerprint")
    common: dict[str, Any] = {
        "model_version": facts["model"] if isinstance(facts.get("model"), str) else "",
        "fingerprint": fingerprint if isinstance(fingerprint, str) else None,
        "tokens": _tokens(facts.get("usage")),
        "answer_hash": hash_of(body.raw),
    }
    choices = facts.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        return Reply(ANSWERED, reason="no choice with a message in the answer", **common)
    refusal, finish = message.get("refusal"), choice.get("finish_reason")
    if isinstance(refusal, str) and refusal:
        return Reply(REFUSED, reason=f"refused: {refusal}", **common)
    if finish == _FILTERED:
        return Reply(REFUSED, reason=f"finished for {finish}", **common)
    if finish != _FINISHED:
        return Reply(ANSWERED, reason=f"not finished: {finish}", **common)
    content = message.get("content")
    return Reply(ANSWERED, text=content if isinstance(content, str) else "", **common)


def _tokens(usage: Any) -> Tokens | None:
    if not isinstance(usage, dict):
        return None
    sent, received = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not isinstance(sent, int) or not isinstance(received, int) or min(sent, received) < 0:
        return None
    return Tokens(sent, received)
