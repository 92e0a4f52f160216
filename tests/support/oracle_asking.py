"""Asking a provider one question, over HTTP, at a server that behaves as told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any, Literal

from pydantic import SecretStr

from tests.support.oracle_server import Behaviour, serving
from worker.oracle import chat, gemini
from worker.oracle.http import Endpoint
from worker.oracle.prompt import Asked, Prompt
from worker.oracle.provider import Provider, Reply
from worker.rules.catalogue import load

KEY = "sk-secret-key-0123456789"
QUESTION = Prompt(load("uplifting"), 1_000).question("a1", "A title\n\nA text.")
NAMES = QUESTION.prompt.filter.definition.dimension_names
Shape = Literal["gemini", "openai"]


def provider(shape: Shape, url: str, timeout_seconds: float = 5, **how: Any) -> Provider:
    asked = Asked(shape, "model-x", how.get("thinking"), how.get("temperature"))
    module = gemini if shape == "gemini" else chat
    endpoint = Endpoint(url, SecretStr(KEY), module.KEY_HEADER, timeout_seconds)
    make: Callable[..., Provider] = gemini.Gemini if shape == "gemini" else chat.Chat
    return make(endpoint, asked, 512)


def ask_at(url: str, shape: Shape, timeout_seconds: float = 5, **how: Any) -> Reply:
    with closing(provider(shape, url, timeout_seconds, **how)) as asked:
        return asked.ask(QUESTION)


def ask(shape: Shape, *script: Behaviour, timeout_seconds: float = 5) -> Reply:
    with serving(*script) as server:
        return ask_at(server.url, shape, timeout_seconds)
