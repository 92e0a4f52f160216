"""student.json: what a student is, how it was made, what it was measured to do."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    model_validator,
)

from worker.errors import StudentInvalid
from worker.rules.catalogue import Filter, describe
from worker.rules.refinement import Calibration, Confidence, Curve, Refinement, Residuals
from worker.rules.tiers import Tiering

MANIFEST: Final = "student.json"
ADAPTER: Final = "adapter_model.safetensors"
ADAPTER_CONFIG: Final = "adapter_config.json"
TOKENIZER: Final = "tokenizer.json"
CANARIES: Final = "canaries.jsonl"
BASELINE: Final = "baseline.jsonl"
MODEL_CARD: Final = "README.md"
REQUIRED_FILES: Final = (MANIFEST, ADAPTER, ADAPTER_CONFIG, TOKENIZER, CANARIES)

Pooling = Literal["last", "mean"]


class BaseName(BaseModel):
    """The base model: a Hugging Face id, a folder, or `package:<installed package>`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    revision: str


class CurvePoints(BaseModel):
    """One dimension's calibration: where raw scores go, straight between the points."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    raw: list[FiniteFloat] = Field(min_length=1, description="Rising.")
    calibrated: list[FiniteFloat] = Field(description="Never falling.")

    @model_validator(mode="after")
    def _is_a_curve(self) -> Self:
        if len(self.raw) != len(self.calibrated):
            raise ValueError("raw and calibrated have different lengths")
        if any(a >= b for a, b in pairwise(self.raw)):
            raise ValueError("raw does not rise")
        if any(a > b for a, b in pairwise(self.calibrated)):
            raise ValueError("calibrated falls")
        return self


class ResidualRows(BaseModel):
    """How wrong the student was on articles it was not trained on, by rising average."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    neighbours: int = Field(gt=0, description="As many residuals are taken for one article.")
    averages: list[FiniteFloat] = Field(description="The student's weighted averages, rising.")
    errors: list[list[FiniteFloat]] = Field(
        description="Oracle minus student, for each average, in dimension order."
    )

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if not self.neighbours <= len(self.averages) == len(self.errors):
            raise ValueError("not one row of errors for each average, or fewer than neighbours")
        if any(a > b for a, b in pairwise(self.averages)):
            raise ValueError("averages do not rise")
        return self


class Manifest(BaseModel):
    """student.json, checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1]
    filter: str
    filter_version: int
    label_hash: str
    dimensions: list[str]
    base: BaseName
    pooling: Pooling = Field(description="last token for decoders, masked mean for encoders")
    head_bias: bool
    max_tokens: int = Field(gt=0)
    trainable_parameters: int = Field(gt=0)
    training: dict[str, Any]
    data: dict[str, Any]
    seeds: list[int]
    versions: dict[str, str]
    metrics: dict[str, Any]
    calibration: dict[str, CurvePoints] = Field(
        default={}, description="By dimension; one without a curve is published as it is."
    )
    residuals: ResidualRows | None = Field(
        default=None, description="For tier_confidence, which is null without them."
    )

    @model_validator(mode="after")
    def _fits_its_dimensions(self) -> Self:
        unknown = sorted(set(self.calibration) - set(self.dimensions))
        if unknown:
            raise ValueError(f"calibration: there is no dimension {unknown[0]}")
        rows = self.residuals.errors if self.residuals is not None else []
        if any(len(row) != len(self.dimensions) for row in rows):
            raise ValueError("residuals: a row has not one error for each dimension")
        return self

    def refinement(self, tiering: Tiering) -> Refinement:
        """What is done to raw scores, and how probable their tiers are."""
        calibration, confidence = None, None
        if self.calibration:
            curves = {k: Curve(v.raw, v.calibrated) for k, v in self.calibration.items()}
            calibration = Calibration(self.dimensions, curves)
        if self.residuals is not None:
            known = self.residuals
            residuals = Residuals(
                np.array(known.averages), np.array(known.errors), known.neighbours
            )
            confidence = Confidence(tiering, residuals)
        return Refinement(calibration, confidence)


def read_manifest(folder: Path) -> Manifest:
    """The folder's student.json. Raises StudentInvalid, also for a missing file."""
    missing = [name for name in REQUIRED_FILES if not (folder / name).is_file()]
    if missing:
        raise StudentInvalid(
            f"no usable student in {folder}: {', '.join(missing)} missing. Train one with "
            "newsieve-train, or set NEWSIEVE_STUDENT__FOLDERS to where it is"
        )
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except ValidationError as error:
        raise StudentInvalid(f"{folder / MANIFEST}: {describe(error)}") from None


def check_filter(manifest: Manifest, folder: Path, filter_: Filter) -> None:
    """A student is bound to a filter by what its labels mean. Raises StudentInvalid."""
    if manifest.label_hash != filter_.label_hash:
        raise StudentInvalid(
            f"the student in {folder} was trained on labels that mean something else than "
            f"{filter_.reference}'s do now (label hash {manifest.label_hash[:19]}…, the filter's "
            f"{filter_.label_hash[:19]}…): train a new one, or restore the filter's dimensions "
            "and prompt.md"
        )
    if tuple(manifest.dimensions) != filter_.definition.dimension_names:
        raise StudentInvalid(f"the student in {folder} has other dimensions than the filter")


def student_hash(folder: Path, base: BaseName) -> str:
    """SHA-256 over the sorted names and hashes of the folder's files, and the base model."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            file_hash = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.name} {file_hash}\n".encode())
    digest.update(f"{base.name} {base.revision}\n".encode())
    return "sha256:" + digest.hexdigest()
