"""The section `worker` of the settings: what the scoring worker reads, batches and commits.

It knows neither whether the filters exist nor how the worker uses these values.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from newsieve.records.decode import DecodePolicy
from newsieve.records.json_parsing import MAX_RECORD_BYTES
from newsieve.records.oversize_letter import OversizeLetters
from newsieve.records.raw_fields import FieldReader
from newsieve.settings.base import MOST, FromCommas, FromJson, Positive, Probability, Section
from newsieve.settings.fields import FieldSettings


class WorkerSettings(Section):
    """What the scoring worker reads, how it batches, and when it commits."""

    filters: Annotated[list[str], FromCommas] = Field(default=["uplifting"])
    slot: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="Stable per replica (a StatefulSet's ordinal): part of the transactional id, "
        "newsieve-<group>-:<slot>.",
    )
    group: str = Field(
        default="newsieve",
        pattern=r"^[A-Za-z0-9._-]{1,200}$",
        description="With any other letter the broker refuses every transaction.",
    )
    id_from_key: bool = Field(default=False, description="Take a missing id from the record's key.")
    dlq_headers: Literal["signed", "any"] | None = Field(
        default=None,
        description="Which dlq.* headers of raw records count: those that `newsieve dlq replay` "
        "signed with sampling.key, or any. Default: signed, if there is a key.",
    )
    max_record_bytes: int = Field(
        default=MAX_RECORD_BYTES,
        gt=0,
        le=MOST,
        description="Larger, or larger when unfolded: a dead letter.",
    )
    fields: Annotated[FieldSettings, FromJson] = Field(
        default=FieldSettings(),
        description="What the fields of incoming records are called: lists of names by field.",
    )
    batch_articles: int = Field(
        default=128,
        gt=0,
        le=100_000,
        description="Articles per micro-batch: enough to sort by length, few enough that a CPU "
        "finishes one in seconds.",
    )
    batches_in_flight: int = Field(
        default=2, gt=0, le=8, description="One on the device, the next being tokenised."
    )
    commit_seconds: Positive = Field(
        default=0.25, le=10, description="Oldest a transaction gets; the broker ends it after 30."
    )
    commit_records: int = Field(
        default=5_000, gt=0, le=MOST, description="Raw records a transaction covers at most, about."
    )
    drain_seconds: Positive = Field(
        default=20, le=86_400, description="For finishing after SIGTERM; Kubernetes kills after 30."
    )
    dead_letter_ratio: Probability = Field(
        default=0.5, description="Of the last dead_letter_window records: more stops the worker."
    )
    dead_letter_window: int = Field(default=1_000, gt=0, le=10_000_000)
    dead_letter_run: int = Field(
        default=100, gt=0, le=MOST, description="Dead letters in a row: more stop the worker."
    )
    oversize_letters: OversizeLetters = Field(
        default="truncate",
        description="What of a record that is too large for a dead letter stands in it: the "
        "beginning of its value, or its headers alone, where half an article should not lie about.",
    )

    @property
    def decode_policy(self) -> DecodePolicy:
        """What raw records may be, for whoever decodes them."""
        reader = FieldReader(self.fields.names)
        return DecodePolicy(self.max_record_bytes, self.id_from_key, reader)

    @field_validator("filters")
    @classmethod
    def _some_and_unique(cls, value: list[str]) -> list[str]:
        names = [item.partition("/")[0] for item in value]
        if not names or len(set(names)) < len(names):
            raise ValueError("name each filter once, and at least one")
        return value
