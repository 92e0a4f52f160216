"""student.json: what a student is, how it was made, and what it was measured to do.

It checks the file against the filter it is used for, and loads no weights.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import numpy as np
import re2
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from newsieve.errors import StudentInvalid
from newsieve.filters.calibration import Calibration, Confidence, Curve, Residuals, ScoreCalibration
from newsieve.filters.registry import Filter
from newsieve.filters.tiering import Tiering
from newsieve.inference.base_files import MOST_FILES
from newsieve.inference.forward import Pooling
from newsieve.inference.student_files import (
    GIB,
    MIB,
    TOKENIZER_BYTES,
    file_hash,
    files_of,
    read_json,
)
from newsieve.printable import one_line
from newsieve.validation_text import validation_message

MANIFEST: Final = "student.json"
ADAPTER: Final = "adapter_model.safetensors"
ADAPTER_CONFIG: Final = "adapter_config.json"
TOKENIZER: Final = "tokenizer.json"
CANARIES: Final = "canaries.jsonl"
BASELINE: Final = "baseline.jsonl"
MODEL_CARD: Final = "README.md"
REQUIRED_FILES: Final = (MANIFEST, ADAPTER, ADAPTER_CONFIG, TOKENIZER, CANARIES)
# What may be read of each. Ours have 60 KB, 3 MB, 1 KB, 500 KB, 20 KB and 400 KB; the largest that
# are published: a tokenizer of 35 MB, adapters of 2 GB.
LIMITS_BYTES: Final = {
    MANIFEST: 16 * MIB,
    ADAPTER: 4 * GIB,
    ADAPTER_CONFIG: 1 * MIB,
    TOKENIZER: TOKENIZER_BYTES,
    CANARIES: 16 * MIB,
    BASELINE: 64 * MIB,
}
MOST_DIMENSIONS: Final = 100
MOST_TOKENS: Final = 1_000_000  # of a window
MOST_POINTS: Final = 10_000  # of a calibration curve; ours have at most some dozens
MOST_RESIDUALS: Final = 1_000_000  # articles that judged a student
FARTHEST_SCORE: Final = 1_000.0  # a raw score on a scale of 0 to 10, or an error of one

Points = Annotated[float, Field(ge=-FARTHEST_SCORE, le=FARTHEST_SCORE, allow_inf_nan=False)]
Short = Annotated[str, Field(max_length=1_000)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class BaseName(BaseModel):
    """The name of a base model: a Hugging Face id, a folder, or `package:<installed package>`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=4_000)]
    revision: Short


class PinnedBase(BaseName):
    """The base model, with the hashes that identify it whatever it is called and wherever it
    lies."""

    files: dict[str, Sha256] = Field(
        default={},
        max_length=MOST_FILES,
        description="SHA-256 of each file that decides scores: configuration and weights.",
    )


class CurvePoints(BaseModel):
    """The calibration of one dimension: where raw scores go, straight between the points."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    raw: list[Points] = Field(min_length=1, max_length=MOST_POINTS, description="Rising.")
    calibrated: list[Points] = Field(max_length=MOST_POINTS, description="Never falling.")

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
    averages: list[Points] = Field(
        max_length=MOST_RESIDUALS, description="The student's weighted averages, rising."
    )
    errors: list[list[Points]] = Field(
        max_length=MOST_RESIDUALS,
        description="Oracle minus student, for each average, in dimension order.",
    )

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if not self.neighbours <= len(self.averages) == len(self.errors):
            raise ValueError("not one row of errors for each average, or fewer than neighbours")
        if any(a > b for a, b in pairwise(self.averages)):
            raise ValueError("averages do not rise")
        return self


class Manifest(BaseModel):
    """The checked contents of student.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1]
    filter: Short
    filter_version: int
    label_hash: Short
    dimensions: list[Short] = Field(max_length=MOST_DIMENSIONS)
    base: PinnedBase
    pooling: Pooling = Field(description="last token for decoders, masked mean for encoders")
    head_bias: bool
    max_tokens: int = Field(gt=0, le=MOST_TOKENS)
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

    def score_calibration(self, tiering: Tiering) -> ScoreCalibration:
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
        return ScoreCalibration(calibration, confidence)


def read_manifest(folder: Path) -> Manifest:
    """Read the folder's student.json. Raises StudentInvalid, also for a missing file."""
    found = files_of(folder, LIMITS_BYTES)
    missing = [name for name in REQUIRED_FILES if name not in found]
    if missing:
        raise StudentInvalid(
            f"no usable student in {folder}: {', '.join(missing)} missing. Train one with "
            "newsieve-train, or set NEWSIEVE_STUDENT__FOLDERS to where it is"
        )
    path = folder / MANIFEST
    try:
        return Manifest.model_validate(read_json(path, LIMITS_BYTES[MANIFEST]))
    except ValidationError as error:
        raise StudentInvalid(f"{path}: {validation_message(error)}") from None


def check_filter(manifest: Manifest, folder: Path, filter_: Filter) -> None:
    """Require that the student is of this filter: it is bound to one by what its labels mean.
    Raises StudentInvalid."""
    if manifest.label_hash in filter_.earlier_label_hashes:
        raise StudentInvalid(
            f"the student in {folder} was packaged by a version that read no markup in articles: "
            f"`newsieve-train repackage {folder} LABELS...` packages it anew, if the texts of its "
            "labels are rendered as before; otherwise train a new one"
        )
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
    """SHA-256 over the sorted names and hashes of the folder's files, and the base model's name.
    The base's weights are in it by their hashes in student.json. Raises StudentInvalid."""
    digest = hashlib.sha256()
    for name, path in files_of(folder, LIMITS_BYTES).items():
        digest.update(f"{name} {file_hash(path)}\n".encode())
    digest.update(f"{base.name} {base.revision}\n".encode())
    return "sha256:" + digest.hexdigest()


def compile_targets(pattern: str) -> Any:
    """Compile a regular expression for layers' names, by RE2, whose cost is linear, whoever wrote
    it: no lookaround, no back references. Raises ValueError."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True  # nobody asks for groups, and they cost RE2 its fastest way
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error
        raise ValueError(
            f"{one_line(pattern)!r} is no regular expression that RE2 takes: {reason}. Name the "
            "layers in a list instead"
        ) from None
