"""The section `push` of the settings: the webhook, the signature and the patience of a push.

What is pushed, and in which shape, is said on the command line.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from newsieve.programs.pushing.address import checked_address
from newsieve.programs.pushing.signature import key_of
from newsieve.settings.base import Positive, Section
from newsieve.settings.secret_checks import checked_key


def _checked_url(value: SecretStr) -> SecretStr:
    """Return the address without white space around it. Raises ValueError without quoting it."""
    return SecretStr(checked_address(value.get_secret_value()))


def _checked_secret(value: SecretStr) -> SecretStr:
    """Return the secret without white space around it. Raises ValueError without quoting it."""
    secret = checked_key(value)
    key_of(secret.get_secret_value())
    return secret


class PushSettings(Section):
    """Where `newsieve push` delivers to, how it signs, and how long it waits."""

    url: Annotated[SecretStr, AfterValidator(_checked_url)] | None = Field(
        default=None,
        description="The webhook's address, for those that are secrets, as Slack's are; `--to` "
        "wins. From the environment or its own file.",
    )
    secret: Annotated[SecretStr, AfterValidator(_checked_secret)] | None = Field(
        default=None,
        description="Signs each request (Standard Webhooks): base64 of 24 to 64 random bytes, with "
        "or without `whsec_` before it. From the environment or its own file.",
    )
    timeout_seconds: Positive = Field(
        default=15, le=30, description="Of one whole attempt, and of the last one after SIGTERM."
    )
    max_backoff_seconds: Positive = Field(
        default=60,
        le=3_600,
        description="Longest pause between attempts while the webhook is away; a Retry-After may "
        "ask for more, up to an hour.",
    )
    use_proxies: bool = Field(
        default=False,
        description="Those of HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.",
    )
