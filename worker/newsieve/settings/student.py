"""The section `student` of the settings: the models, and the device that they run on.

It knows neither whether the folders exist nor what a model is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from newsieve.inference.base_files import TRUSTED_PACKAGES
from newsieve.settings.base import MOST, FromCommas, FromJson, Probability, Section


class StudentSettings(Section):
    """The models, and the device that they run on."""

    folders: Annotated[dict[str, Path], FromJson] = Field(
        default={}, description="Filter to folder; default: filters/<name>/v<N>/student."
    )
    base: str | None = Field(
        default=None,
        description="Where the base model is: a folder, a package, a hub's id; it must be the one "
        "of student.json, file by file.",
    )
    trusted_packages: Annotated[tuple[str, ...], FromCommas] = Field(
        default=TRUSTED_PACKAGES,
        description="Python packages in which a student may name its base model.",
    )
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:[0-9]{1,2})?)$")
    dtype: Literal["auto", "fp32", "bf16"] = Field(
        default="auto",
        description="auto: bf16 where the device has instructions for it, else fp32.",
    )
    threads: int | None = Field(
        default=None,
        gt=0,
        le=1_024,
        description="Of a CPU's forward passes together; default: cores.",
    )
    budget_tokens: int | None = Field(
        default=None, gt=0, le=MOST, description="Of a forward pass; see newsieve.example.toml."
    )
    candidates: Annotated[dict[str, Path], FromJson] = Field(
        default={}, description="Filter to a folder on trial; its scores go to the shadow topic."
    )
    candidate_share: Probability = Field(default=0.1, description="Of articles it scores, too.")
