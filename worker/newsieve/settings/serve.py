"""The section `serve` of the settings: where pages, feeds and the API are, who may use them, and
what their store keeps.

It knows no web framework.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from newsieve.settings.base import FromCommas, Positive, Section
from newsieve.settings.listening import Token, is_loopback

NAME_PATTERN: Final = r"^[A-Za-z0-9-]{1,100}$"


def _checked_url(value: str) -> str:
    """Return the address. Raises ValueError for a host or a port that there cannot be."""
    parts = urlsplit(value)
    if not parts.hostname or parts.port == 0:  # whose port is no number has none, with a ValueError
        raise ValueError("no host, or port 0")
    return value


class ServeSettings(Section):
    """The address of pages, feeds and the API, who may use them, and what the store keeps."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        max_length=255,
        description="Others than this machine need a read_token, or a user_header.",
    )
    port: int = Field(default=8080, ge=0, le=65535, description="0: a free one, logged.")
    url: Annotated[str, AfterValidator(_checked_url)] | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#\"<>]+$",
        description="Where people reach it, for feeds and links; default: what a request says.",
    )
    hosts: Annotated[list[str], FromCommas] = Field(
        default=[],
        description="Host names that requests may be for, beside localhost, the host and that of "
        "url: nobody's page may reach it through a reader's browser.",
    )
    read_token: Token | None = Field(
        default=None,
        description="Whoever reads needs it: `Authorization: Bearer …`, or signing in.",
    )
    review_token: Token | None = Field(
        default=None, description="Allows reading and reviewing; without it nobody reviews."
    )
    user_header: str | None = Field(
        default=None,
        pattern=NAME_PATTERN,
        description="The header in which a reverse proxy names who has signed in, such as "
        "X-Forwarded-User. It counts from trusted_proxies alone.",
    )
    trusted_proxies: Annotated[list[str], FromCommas] = Field(
        default=[],
        description="Addresses or networks of reverse proxies: their X-Forwarded-For and "
        "user_header count.",
    )
    requests_per_minute: int = Field(
        default=1_200, gt=0, le=1_000_000, description="Of one client's address."
    )
    streams: int = Field(
        default=1_000,
        gt=0,
        le=100_000,
        description="Clients that are sent events at a time; one address has half of them at most.",
    )
    body_bytes: int = Field(
        default=16 * 1024 * 1024, gt=0, le=1_000_000_000, description="Of a request."
    )
    score_articles: int = Field(default=1_000, gt=0, le=100_000, description="Of a request.")
    score_queue_articles: int = Field(
        default=512,
        gt=0,
        le=1_000_000,
        description="That wait to be scored, of all requests; beyond it the answer is 429.",
    )
    score_deadline_seconds: Positive = Field(
        default=30, le=600, description="A request's, which may ask for less."
    )
    store: Path = Field(
        default=Path("newsieve.db"),
        description="The file of what pages show. Where it is missing, it is filled from the "
        "topics; reviews are in it alone.",
    )
    retention_days: Positive = Field(
        default=30, le=36_500, description="How long articles, labels and dead letters stay."
    )
    retention_gigabytes: Positive = Field(
        default=20, le=100_000, description="Of the store; beyond it the oldest go."
    )

    @model_validator(mode="after")
    def _is_not_open_to_all(self) -> Self:
        if not self.is_local and self.read_token is None and self.user_header is None:
            raise ValueError(
                f"host {self.host} is for others than this machine: set read_token, or user_header "
                "behind a reverse proxy that signs people in"
            )
        if self.user_header is not None and not (self.trusted_proxies and (self.url or self.hosts)):
            raise ValueError(
                "user_header is believed of a reverse proxy alone: name its address in "
                "trusted_proxies, and what people reach it by in url or hosts"
            )
        for item in self.trusted_proxies:
            try:
                ipaddress.ip_network(item, strict=False)
            except ValueError:
                raise ValueError(
                    f"trusted_proxies: {item!r:.60} is no address or network"
                ) from None
        return self

    @property
    def is_local(self) -> bool:
        """Whether it listens on this machine alone."""
        return is_loopback(self.host)
