"""Asking a provider one question, over HTTP, at a server that behaves as told."""

from __future__ import annotations

from contextlib import closing
from typing import Any, Literal

from pydantic import SecretStr

from newsieve.oracle.prompt import OracleConfig, Prompt
from newsieve.oracle.providers.base import Provider, ProviderResponse
from newsieve.oracle.providers.registry import ProviderSetup, provider_kind
from tests.support.filters import load
from tests.support.oracle_server import Behaviour, serving

KEY = "sk-secret-key-0123456789"
QUESTION = Prompt(load("uplifting"), 1_000).for_article("a1", "A title\n\nA text.")
NAMES = QUESTION.prompt.filter.definition.dimension_names
Shape = Literal["gemini", "openai"]


def provider(shape: Shape, url: str, timeout_seconds: float = 5, **how: Any) -> Provider:
    """`how` has `key`, `thinking`, `temperature`, and the provider's own `options`."""
    config = OracleConfig(shape, "model-x", how.get("thinking"), how.get("temperature"))
    kind = provider_kind(shape)
    return kind.make(
        ProviderSetup(
            config,
            endpoint=url,
            api_key=SecretStr(how.get("key", KEY)),
            uses_proxies=False,
            timeout_seconds=timeout_seconds,
            max_output_tokens=512,
            label_file=None,
            options=kind.read_options(shape, how.get("options", {})),
        )
    )


def ask_at(url: str, shape: Shape, timeout_seconds: float = 5, **how: Any) -> ProviderResponse:
    with closing(provider(shape, url, timeout_seconds, **how)) as asked:
        return asked.complete(QUESTION)


def ask(shape: Shape, *script: Behaviour, timeout_seconds: float = 5) -> ProviderResponse:
    with serving(*script) as server:
        return ask_at(server.url, shape, timeout_seconds)
