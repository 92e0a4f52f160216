"""The section `sampling` of the settings: which articles are drawn for the oracle.

It knows neither how an article is drawn nor who labels it.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, SecretStr, field_validator

from newsieve.settings.base import FromJson, Probability, Section
from newsieve.settings.secret_checks import checked_sampling_key

BLAKE2B_KEY_BYTES: Final = 64


class SamplingSettings(Section):
    """The share of articles in each stratum that is sent to the oracle."""

    policy: str = Field(default="p1", min_length=1)
    epoch: str = Field(default="2026-11", min_length=1, description="A new one draws anew.")
    key: Annotated[SecretStr, AfterValidator(checked_sampling_key)] | None = Field(
        default=None,
        description="The same for all workers: without it anybody can compute the draw.",
    )
    low: Probability = Field(
        default=0.02, description="Inclusion probability of unpublished tiers."
    )
    surfaced: Probability = Field(default=0.2, description="Of published tiers.")
    suspect: Probability = Field(
        default=0.02,  # as `low`: their labels measure no drift and train nobody, so that many of
        # them are to cost no more than others
        description="Of articles that speak to a model, whatever their tier.",
    )
    filters: Annotated[
        dict[str, dict[Literal["low", "surfaced", "suspect"], Probability]],
        FromJson,
    ] = Field(default={}, description="Filter to probabilities of its own.")

    @field_validator("epoch")
    @classmethod
    def _fits_a_key(cls, value: str) -> str:
        if len(value.encode()) > BLAKE2B_KEY_BYTES:
            raise ValueError(f"at most {BLAKE2B_KEY_BYTES} bytes: it keys a blake2b hash")
        return value
