"""The section `oracle` of the settings: who labels the sample, how, and at what price.

It does not know how a provider is called.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from newsieve.oracle.providers.registry import require_provider
from newsieve.settings.base import MOST, FromJson, NotNegative, Positive, Section
from newsieve.settings.secret_checks import checked_key

# A host is a name, an IPv4 address, or an IPv6 address in brackets: whatever else parsers of
# addresses disagree about (users, backslashes, letters that fold to others) is in none of these.
_HOST: Final = r"([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\])"
ENDPOINT_PATTERN: Final = rf"^https?://{_HOST}(:[0-9]{{1,5}})?(/[^\s?#@\\]*)?$"


class OracleSettings(Section):
    """The provider of labels, how it is asked, and what its calls may cost."""

    provider: Annotated[str, AfterValidator(require_provider)] = Field(
        default="gemini",
        description="openai: any endpoint that speaks its chat completions. Other distributions "
        "add providers with entry points of the group newsieve.oracle_providers.",
    )
    options: Annotated[dict[str, Any], FromJson] = Field(
        default={}, description="The provider's own options; none of them is a secret."
    )
    model: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="As the provider names it. Pin a version: an alias changes unasked.",
    )
    endpoint: str | None = Field(
        default=None,
        pattern=ENDPOINT_PATTERN,
        description="Without the key, a query or a user; default: the provider's own.",
    )
    allow_plain_http: bool = Field(
        default=False, description="The key over http://, readable on its way, off this machine."
    )
    use_proxies: bool = Field(
        default=False,
        description="Those of HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.",
    )
    api_key: Annotated[SecretStr, AfterValidator(checked_key)] | None = Field(
        default=None,
        description="From the environment or its own file; white space around it is taken off.",
    )
    label_file: Path | None = Field(
        default=None, description="Of the provider label_file: JSON Lines."
    )
    thinking: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9_-]{1,20}$",
        description="A level's name; for older Gemini models a number of tokens.",
    )
    temperature: float | None = Field(
        default=None, ge=0, le=2, allow_inf_nan=False, description="Newer models refuse any."
    )
    max_output_tokens: int = Field(
        default=8_192, gt=0, le=MOST, description="Of an answer; thinking counts."
    )
    article_characters: int = Field(
        default=60_000, gt=0, le=MOST, description="Longer articles are cut; about 15,000 tokens."
    )
    concurrency: int = Field(default=4, gt=0, le=256, description="Calls at a time.")
    timeout_seconds: Positive = Field(default=60, le=600, description="Of one whole call.")
    input_usd_per_million: NotNegative = Field(default=0, description="Price of tokens sent.")
    output_usd_per_million: NotNegative = Field(default=0, description="Of tokens received.")
    calls_per_day: int = Field(
        default=100,
        ge=0,
        le=MOST,
        description="Budget of a UTC day; `newsieve doctor` says what drift it can find.",
    )
    cost_usd_per_day: NotNegative | None = Field(
        default=None, description="Budget of a UTC day in money; needs the prices."
    )
    source_share: float = Field(
        default=0.25,
        ge=0.01,
        le=1,
        allow_inf_nan=False,
        description="Of a day's budget that one source, a host, has at most; 1: no limit. Four "
        "sources use the budget up; whoever floods with one leaves three quarters.",
    )
    group: str = Field(default="newsieve-oracle", pattern=r"^[A-Za-z0-9._-]{1,200}$")
    slot: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="Stable per replica, as the worker's.",
    )
    drain_seconds: Positive = Field(
        default=20, le=86_400, description="For calls under way after SIGTERM."
    )

    @model_validator(mode="after")
    def _key_is_not_readable_on_its_way(self) -> Self:
        if self.api_key is None or self.allow_plain_http or self.endpoint is None:
            return self
        if self.endpoint.startswith("http://") and not is_loopback(self.endpoint):
            raise ValueError(
                "endpoint is http:// and not on this machine: the key would be readable on its "
                "way. Take https://, or set allow_plain_http where the network may read it"
            )
        return self

    @model_validator(mode="after")
    def _money_has_a_price(self) -> Self:
        if self.cost_usd_per_day is not None and not (
            self.input_usd_per_million or self.output_usd_per_million
        ):
            raise ValueError(
                "cost_usd_per_day limits nothing without prices: set input_usd_per_million and "
                "output_usd_per_million"
            )
        return self


def is_loopback(endpoint: str) -> bool:
    """Return whether an endpoint is on this machine."""
    host = urlsplit(endpoint).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".") == "localhost"
