"""A student, loaded: its identity, its tokeniser, its forward pass, its canaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from worker.engine import adapter
from worker.engine.device import Dtype, choose_device, choose_dtype, dtype_name
from worker.engine.manifest import (
    CANARIES,
    TOKENIZER,
    Manifest,
    check_filter,
    read_manifest,
    student_hash,
)
from worker.engine.model import StudentModel, load_backbone
from worker.engine.reference import ReferenceForward
from worker.engine.tokenise import Tokeniser
from worker.errors import CanaryMismatch, StudentInvalid
from worker.rules.catalogue import Filter, describe

# What the same student may differ by between machines, in score points. fp32: other processors
# sum in another order. bf16: the largest error seen against fp32.
CANARY_TOLERANCE: Final = {"fp32": 0.01, "bf16": 0.2}


class Forward(Protocol):
    """The seam for the forward pass: token ids of N texts in, (N, D) raw scores out."""

    def __call__(self, batch: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
        """Raises OutOfMemory when fewer texts might fit, else whatever the model raises."""
        ...


class Canary(BaseModel):
    """A fixed text with the scores of the machine that trained the student."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: str
    text: str
    scores: dict[str, FiniteFloat]


@dataclass(frozen=True)
class Student:
    """A student ready to score."""

    filter: Filter
    manifest: Manifest
    hash: str
    device: str
    dtype: str
    tokeniser: Tokeniser
    forward: Forward
    canaries: tuple[Canary, ...]


def load_student(
    filter_: Filter,
    folder: Path,
    *,
    base: str | None = None,
    device: str = "auto",
    dtype: Dtype = "auto",
) -> Student:
    """Load, merge, check. `base` overrides the base model's name.

    Raises StudentInvalid for a folder that is incomplete, inconsistent or made for other labels.
    """
    manifest = read_manifest(folder)
    check_filter(manifest, folder, filter_)
    canaries = read_canaries(folder / CANARIES, manifest.dimensions)
    tokeniser = Tokeniser(folder / TOKENIZER, manifest.max_tokens)
    model = StudentModel(
        load_backbone(base or manifest.base.name, manifest.base.revision),
        manifest.pooling,
        len(manifest.dimensions),
        bias=manifest.head_bias,
    )
    _require_positions(manifest, folder, model)
    adapter.merge(model, folder, manifest.trainable_parameters)
    chosen_device = choose_device(device)
    chosen_dtype = choose_dtype(dtype, chosen_device)
    return Student(
        filter=filter_,
        manifest=manifest,
        hash=student_hash(folder, manifest.base),
        device=str(chosen_device),
        dtype=dtype_name(chosen_dtype),
        tokeniser=tokeniser,
        forward=ReferenceForward(model, chosen_device, chosen_dtype),
        canaries=canaries,
    )


def _require_positions(manifest: Manifest, folder: Path, model: StudentModel) -> None:
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is not None and manifest.max_tokens > positions:
        raise StudentInvalid(
            f"the student in {folder} reads {manifest.max_tokens:,} tokens, its base model "
            f"only {positions:,}: mend max_tokens, or name the right base model"
        )


def read_canaries(path: Path, dimensions: Sequence[str]) -> tuple[Canary, ...]:
    """The folder's canaries, at least one. Raises StudentInvalid."""
    try:
        lines = path.read_bytes().split(b"\n")
        canaries = tuple(Canary.model_validate_json(line) for line in lines if line.strip())
    except ValidationError as error:
        raise StudentInvalid(f"{path}: {describe(error)}") from None
    if not canaries:
        raise StudentInvalid(f"{path} is empty: nothing shows that the student scores as trained")
    for canary in canaries:
        if set(canary.scores) != set(dimensions):
            raise StudentInvalid(f"{path}: {canary.id!r} has scores of other dimensions")
    return canaries


def check_canaries(student: Student) -> list[tuple[Canary, dict[str, float], float]]:
    """Score the canaries again: each with its scores and their largest difference.

    Raises CanaryMismatch beyond the tolerance of the student's precision.
    """
    tokens = student.tokeniser.encode([canary.text for canary in student.canaries])
    names = student.manifest.dimensions
    found = []
    for canary, row in zip(student.canaries, tokens, strict=True):
        scores = dict(zip(names, student.forward([row.ids])[0].tolist(), strict=True))
        difference = max(abs(scores[name] - canary.scores[name]) for name in names)
        found.append((canary, scores, difference))
    worst = max(found, key=lambda item: item[2])
    tolerance = CANARY_TOLERANCE[student.dtype]
    if not worst[2] <= tolerance:  # also when it is not a number
        raise CanaryMismatch(
            f"the {student.filter.reference} student scores its canary {worst[0].id!r} "
            f"{worst[2]:.3f} off the machine that trained it (tolerance {tolerance}): a wrong base "
            "model, tokenizer or library version. Install the pinned versions (constraints.txt) "
            "and the base model named in student.json"
        )
    return found


def set_threads(threads: int | None) -> None:
    """Threads of one forward pass; None leaves torch's default, the number of cores."""
    if threads:
        torch.set_num_threads(threads)
