"""Asking a provider one question, over HTTP, at a server that behaves as told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any, Literal

from pydantic import SecretStr

from newsieve.filters.registry import load
from newsieve.oracle.prompt import OracleConfig, Prompt
from newsieve.oracle.providers import gemini, openai_chat
from newsieve.oracle.providers.base import Provider, ProviderResponse
from newsieve.oracle.providers.http import Endpoint
from tests.support.oracle_server import Behaviour, serving

KEY = "sk-secret-key-0123456789"
QUESTION = Prompt(load("uplifting"), 1_000).question("a1", "A title\n\nA text.")
NAMES = QUESTION.prompt.filter.definition.dimension_names
Shape = Literal["gemini", "openai"]


def provider(shape: Shape, url: str, timeout_seconds: float = 5, **how: Any) -> Provider:
    asked = OracleConfig(shape, "model-x", how.get("thinking"), how.get("temperature"))
    module = gemini if shape == "gemini" else openai_chat
    endpoint = Endpoint(url, SecretStr(KEY), module.KEY_HEADER, timeout_seconds)
    make: Callable[..., Provider] = gemini.Gemini if shape == "gemini" else openai_chat.OpenAIChat
    return make(endpoint, asked, 512)


def ask_at(url: str, shape: Shape, timeout_seconds: float = 5, **how: Any) -> ProviderResponse:
    with closing(provider(shape, url, timeout_seconds, **how)) as asked:
        return asked.ask(QUESTION)


def ask(shape: Shape, *script: Behaviour, timeout_seconds: float = 5) -> ProviderResponse:
    with serving(*script) as server:
        return ask_at(server.url, shape, timeout_seconds)
