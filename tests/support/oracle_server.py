"""An LLM provider on this machine that speaks both shapes, and misbehaves as told."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GOOD_SCORE = 6
INPUT_TOKENS, OUTPUT_TOKENS = 1_500, 200


@dataclass(frozen=True)
class Call:
    """What came in. `instructions` and `sent` are what the model reads, `text` the article in it,
    `dimensions` what the schema asks for."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def is_gemini(self) -> bool:
        return self.path.endswith(":generateContent")

    @property
    def instructions(self) -> str:
        if self.is_gemini:
            return str(self.body["systemInstruction"]["parts"][0]["text"])
        return str(self.body["messages"][0]["content"])

    @property
    def sent(self) -> str:
        if self.is_gemini:
            return str(self.body["contents"][0]["parts"][0]["text"])
        return str(self.body["messages"][1]["content"])

    @property
    def boundary(self) -> str:
        """The line before the article, and after it."""
        return self.sent.partition("\n")[0]

    @property
    def text(self) -> str:
        return self.sent.partition("\n")[2].partition(f"\n{self.boundary}\n")[0]

    @property
    def dimensions(self) -> list[str]:
        if self.is_gemini:
            schema = self.body["generationConfig"]["responseSchema"]
        else:
            schema = self.body["response_format"]["json_schema"]["schema"]
        return list(schema["properties"]["scores"]["properties"])


@dataclass(frozen=True)
class Answer:
    """What goes out. `delay_seconds` come before it, `and_then` is done after it;
    `promised_bytes` are more than are sent; `trickle_seconds` lie between two bytes."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    promised_bytes: int = 0
    trickle_seconds: float = 0.0
    is_dropped: bool = False
    and_then: Callable[[], object] | None = None


Behaviour = Callable[[Call], Answer]


def content(call: Call, **changes: Any) -> dict[str, Any]:
    """A good answer's content, with changes: `scores` are merged, a None takes one away."""
    scores: dict[str, Any] = dict.fromkeys(call.dimensions, GOOD_SCORE)
    for name, value in changes.pop("scores", {}).items():
        if value is None:
            scores.pop(name)
        else:
            scores[name] = value
    good = {
        "content_type": "solutions_story",
        "key_markers": ["a bridge", "a village"],
        "reasoning": "People built something together.",
        "scores": scores,
    }
    return good | changes


def reply(call: Call, text: Any, **changes: Any) -> Answer:
    """The provider's envelope around a model's text. `version`, `finish`, `refusal`, `usage`."""
    version = changes.get("version", "oracle-001")
    if call.is_gemini:
        candidate = {
            "content": {"role": "model", "parts": [{"text": text}]},
            "finishReason": changes.get("finish", "STOP"),
        }
        facts = {
            "candidates": [candidate],
            "modelVersion": version,
            "usageMetadata": {
                "promptTokenCount": INPUT_TOKENS,
                "candidatesTokenCount": OUTPUT_TOKENS - 50,
                "thoughtsTokenCount": 50,
            },
        }
    else:
        message = {"role": "assistant", "content": text, "refusal": changes.get("refusal")}
        facts = {
            "model": version,
            "system_fingerprint": "fp_1",
            "choices": [{"message": message, "finish_reason": changes.get("finish", "stop")}],
            "usage": {"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS},
        }
    if changes.get("usage") is False:
        facts.pop("usage", None)
        facts.pop("usageMetadata", None)
    return Answer(body=json.dumps(facts).encode())


def good(**changes: Any) -> Behaviour:
    """A label. `scores` and the other fields of its content; `version`."""
    version = changes.pop("version", "oracle-001")
    return lambda call: reply(call, json.dumps(content(call, **changes)), version=version)


def says(text: Any, **changes: Any) -> Behaviour:
    """Any text as the model's."""
    return lambda call: reply(call, text, **changes)


def fails(
    status: int, message: str = "no", headers: Mapping[str, str] | None = None, **error: Any
) -> Behaviour:
    """An error as both providers write it."""
    body = json.dumps({"error": {"code": status, "message": message, **error}}).encode()
    return lambda _: Answer(status, body, headers or {})


def within(status: int, **error: Any) -> Behaviour:
    """An error in a body of another status, as gateways send it."""
    return raw(json.dumps({"error": error}).encode(), status)


def busy(retry_info: str) -> Behaviour:
    """429 with a google.rpc.RetryInfo."""
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": retry_info}]
    return fails(429, "quota", details=details)


def about(text: str, behaviour: Behaviour, otherwise: Behaviour) -> Behaviour:
    """One behaviour for articles with this in their text, and another for all others."""
    return lambda call: (behaviour if text in call.text else otherwise)(call)


def moderated() -> Behaviour:
    """One article's text is not let through to the model: a 403, like a key's that may not."""
    metadata = {"reasons": ["violence"], "flagged_input": "…", "provider_name": "OpenAI"}
    return fails(403, "your input was flagged", metadata=metadata)


def wrong_key() -> Behaviour:
    """Gemini's answer to it, a 400 like those for a single article."""
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    return fails(400, "API key not valid.", details=[info])


def slowly(behaviour: Behaviour, seconds: float) -> Behaviour:
    """The same, later."""
    return lambda call: replace(behaviour(call), delay_seconds=seconds)


def and_then(behaviour: Behaviour, action: Callable[[], object]) -> Behaviour:
    """Do something as soon as the answer is out."""
    return lambda call: replace(behaviour(call), and_then=action)


def raw(body: bytes, status: int = 200, **more: Any) -> Behaviour:
    """Any bytes."""
    return lambda _: Answer(status, body, **more)


class OracleServer:
    """Answers each call by the next behaviour of its script, then by the last one for ever."""

    def __init__(self, script: Sequence[Behaviour]) -> None:
        self.calls: list[Call] = []
        self.script = list(script)
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                call = Call(self.path, dict(self.headers), json.loads(self.rfile.read(length)))
                answer = outer.answer(call)
                time.sleep(answer.delay_seconds)
                if answer.is_dropped:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                promised = answer.promised_bytes or len(answer.body)
                self.send_header("Content-Length", str(promised))
                self.end_headers()
                self._write(answer)
                if answer.and_then is not None:
                    self.wfile.flush()
                    answer.and_then()
                if promised > len(answer.body):
                    self.close_connection = True

            def _write(self, answer: Answer) -> None:
                with contextlib.suppress(OSError):  # whoever asked has left
                    if not answer.trickle_seconds:
                        self.wfile.write(answer.body)
                        return
                    for byte in answer.body:
                        self.wfile.write(bytes([byte]))
                        time.sleep(answer.trickle_seconds)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def answer(self, call: Call) -> Answer:
        with self._lock:
            self.calls.append(call)
            behaviour = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return behaviour(call)

    def calls_of(self, text: str) -> int:
        """How often an article with this in its text was asked about."""
        return sum(text in call.text for call in self.calls)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def serving(*script: Behaviour) -> Iterator[OracleServer]:
    """A server with this script; good answers without one."""
    server = OracleServer(script or (good(),))
    try:
        yield server
    finally:
        server.close()
