"""The section `ingest` of the settings: where articles come from, and how patiently it is asked.

It does not know how a feed is read.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from newsieve.outgoing.public_address import parse_allowed
from newsieve.settings.base import FromCommas, NotNegative, Positive, Section
from newsieve.settings.listening import Token, is_loopback


def _checked_targets(values: list[str]) -> list[str]:
    """Return what may be asked. Raises ValueError for what is no network, address or host."""
    parse_allowed(values)
    return values


class IngestSettings(Section):
    """What `newsieve ingest` reads, and how."""

    slot: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="Stable per replica; part of the transactional id.",
    )
    group: str = Field(
        default="newsieve-ingest",
        pattern=r"^[A-Za-z0-9._-]{1,200}$",
        description="Ingesters of one group share the feeds.",
    )
    feeds: Annotated[list[str], FromCommas] = Field(
        default=[],
        description="The feeds, for `newsieve ingest feeds` without a list: a URL each, and "
        "` full-text` behind it if the pages behind its summaries are to be read.",
    )
    concurrency: int = Field(default=16, gt=0, le=256, description="Feeds asked at a time.")
    host_gap_seconds: NotNegative = Field(
        default=1, le=3_600, description="Between two requests to one host."
    )
    min_interval_seconds: Positive = Field(
        default=900, le=86_400, description="No feed is asked more often."
    )
    max_interval_seconds: Positive = Field(
        default=86_400,
        le=2_592_000,
        description="Each feed is asked at least as often, also one that fails, unless its server "
        "wants it otherwise (Retry-After, 410).",
    )
    timeout_seconds: Positive = Field(
        default=30, le=600, description="Of one whole request, redirects included."
    )
    max_bytes: int = Field(
        default=16 * 1024 * 1024, gt=0, le=1_000_000_000, description="Of an answer, unfolded."
    )
    summary_characters: int = Field(
        default=1_000,
        gt=0,
        le=100_000,
        description="Of feeds whose full text is wanted: an item with fewer characters is a "
        "summary, and its page is read.",
    )
    allowed_targets: Annotated[list[str], FromCommas, AfterValidator(_checked_targets)] = Field(
        default=[],
        description="Networks, addresses or host names that may be asked though they are private, "
        "loopback or link-local; no others of these ever are.",
    )
    contact: str | None = Field(
        default=None,
        pattern=r"^[\x21-\x27\x2a-\x7e]{1,200}$",
        description="An address for whoever runs a site that is asked, in the User-Agent: "
        "https://… or mailto:…",
    )

    http_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        max_length=255,
        description="Where `newsieve ingest http` listens. Others than this machine need "
        "http_token or http_secret.",
    )
    http_port: int = Field(default=8081, ge=0, le=65535, description="0: a free one, logged.")
    http_hosts: Annotated[list[str], FromCommas] = Field(
        default=[],
        description="Host names that requests may be for, beside localhost and http_host.",
    )
    http_token: Token | None = Field(
        default=None, description="Whoever sends articles needs it: `Authorization: Bearer …`."
    )
    http_secret: Token | None = Field(
        default=None,
        description="Signs bodies instead of a token, as Miniflux does: HMAC-SHA256 in "
        "X-Miniflux-Signature.",
    )
    http_body_bytes: int = Field(
        default=16 * 1024 * 1024,
        gt=0,
        le=1_000_000_000,
        description="Of a request, as it comes and unfolded.",
    )
    http_articles: int = Field(default=1_000, gt=0, le=100_000, description="Of a request.")
    http_queue_articles: int = Field(
        default=10_000,
        gt=0,
        le=1_000_000,
        description="That wait to be committed, of all requests; beyond it the answer is 429.",
    )
    http_queue_bytes: int = Field(
        default=128 * 1024 * 1024,
        gt=0,
        le=10_000_000_000,
        description="Of all bodies in memory, at least twice http_body_bytes; beyond it the "
        "answer is 429.",
    )
    http_deadline_seconds: Positive = Field(
        default=30,
        le=600,
        description="Until a request is answered, with 503 if it is not committed. Miniflux waits "
        "for 10 s.",
    )

    @model_validator(mode="after")
    def _has_room_between_intervals(self) -> Self:
        if self.min_interval_seconds > self.max_interval_seconds:
            raise ValueError("min_interval_seconds is more than max_interval_seconds")
        return self

    @model_validator(mode="after")
    def _http_is_not_open_to_all(self) -> Self:
        is_open = self.http_token is None and self.http_secret is None
        if is_open and not is_loopback(self.http_host):
            raise ValueError(
                f"http_host {self.http_host} is for others than this machine: set http_token, or "
                "http_secret for signed bodies"
            )
        if self.http_queue_bytes < 2 * self.http_body_bytes:
            raise ValueError("http_queue_bytes is less than two bodies of http_body_bytes")
        return self
