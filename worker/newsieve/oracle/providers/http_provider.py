"""What all providers have in common that are asked over HTTP, at one address and with one key.

A subclass says how a prompt becomes a request and a response a label. It knows nothing of retries.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, Self, TypeVar, cast

from newsieve.oracle.prompt import LabelPrompt, OracleConfig
from newsieve.oracle.prompt_frame import Draw, random_word
from newsieve.oracle.providers.base import ProviderResponse
from newsieve.oracle.providers.http import Endpoint
from newsieve.oracle.providers.registry import ProviderKind, ProviderOptions, ProviderSetup

KeyHeader = tuple[str, str]
Options = TypeVar("Options", bound=ProviderOptions)


class HttpProvider(ABC, Generic[Options]):
    """A provider behind one endpoint. It may be used from several threads at once."""

    default_endpoint: ClassVar[str]
    key_header: ClassVar[KeyHeader]  # the header's name, and what stands before the key in it
    options_model: ClassVar[type[ProviderOptions]]

    def __init__(
        self,
        endpoint: Endpoint,
        config: OracleConfig,
        max_output_tokens: int,
        options: Options,
        draw: Draw = random_word,
    ) -> None:
        """`draw` gives the word of each call's boundary around the article."""
        self._endpoint = endpoint
        self._config = config
        self._max_output_tokens = max_output_tokens
        self._options = options
        self._draw = draw

    @classmethod
    def connect(cls, setup: ProviderSetup) -> Self:
        """Make the provider that the settings describe. Raises SettingsInvalid."""
        endpoint = Endpoint(
            setup.endpoint or cls.default_endpoint,
            setup.api_key,
            cls.key_header,
            setup.timeout_seconds,
            uses_proxies=setup.uses_proxies,
        )
        options = cast(Options, setup.options)  # of `options_model`: the registry has read them
        return cls(endpoint, setup.config, setup.max_output_tokens, options)

    @classmethod
    def kind(cls) -> ProviderKind:
        """Return what the registry has to know about the provider."""
        return ProviderKind(
            cls.connect, cls.default_endpoint, needs_key=True, options=cls.options_model
        )

    @abstractmethod
    def complete(self, prompt: LabelPrompt) -> ProviderResponse:
        """Make one call, within the time limit of the endpoint."""

    def close(self) -> None:
        """Close the connections. Calls in flight return no answer."""
        self._endpoint.close()
