"""Dead letters: the original record, byte for byte, with `dlq.*` headers that say why."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from newsieve_schemas.base import Written, WrittenHeaders
from newsieve_schemas.scored import Timestamp

Stage = Literal["decode", "validate", "score", "publish"]
HEADER_PREFIX = "dlq."


class DeadLetterHeaders(WrittenHeaders):
    """The `dlq.*` headers, as UTF-8 strings on the wire. Value and key are the original's, if it
    had one, unless they are too large: see `dlq.truncated`. The letter's own timestamp is that of
    its writing."""

    model_config = ConfigDict(
        alias_generator=lambda name: HEADER_PREFIX + name.replace("_", "-"), strict=False
    )

    topic: str
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)
    stage: Stage
    error: str = Field(description="The error's name, stable.")
    message: str = Field(description="For people: what is wrong and what to do.")
    attempts: int = Field(ge=1, description="1 at first, one more each time a replay fails.")
    failed_at: Timestamp
    worker_version: str
    group: str
    filter: str | None = Field(
        None, description="Absent when the record could not be decoded: it concerns all filters."
    )
    timestamp: int | None = Field(
        None,
        ge=0,
        description="The original's, in milliseconds since 1970. Absent when it had none.",
    )
    key_made: Literal["true"] | None = Field(
        None,
        description="This key is made up: the original had none, or too long a one "
        "(`dlq.key-left-out`). Absent when it is the original's.",
    )
    truncated: int | None = Field(
        None,
        ge=0,
        description="The original is larger than a record may be, and this is a part of it: its "
        "value had so many bytes. It stands at `dlq.topic`, `dlq.partition` and `dlq.offset`, as "
        "long as retention keeps it. Absent when the letter has all of it.",
    )
    sha256: str | None = Field(
        None, description="Of the original's whole value, in hexadecimal; with `dlq.truncated`."
    )
    headers_left_out: int | None = Field(
        None, ge=1, description="So many of the original's headers, the last ones, had no room."
    )
    key_left_out: int | None = Field(
        None, ge=1, description="The original's key, of so many bytes, had no room."
    )


class DeadLetterLine(Written):
    """`newsieve score` and `tier`: what stands in the place of a line that failed."""

    outcome: Literal["dead_letter"]
    line: int = Field(ge=0, description="0-based.")
    stage: Stage
    error: str
    message: str
