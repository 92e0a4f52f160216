"""A student, loaded: its identity, its tokeniser, its forward pass, its canaries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import torch

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
from worker.rules.catalogue import Filter

# What the same student may differ by between machines, in score points. fp32: other processors
# sum in another order. bf16: the largest error seen against fp32.
CANARY_TOLERANCE: Final = {"fp32": 0.01, "bf16": 0.2}


class Forward(Protocol):
    """The seam for the forward pass: token ids of N texts in, (N, D) raw scores out."""

    def __call__(self, batch: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
        """Raises OutOfMemory when fewer texts might fit, else whatever the model raises."""
        ...


@dataclass(frozen=True, slots=True)
class Canary:
    """A fixed text with the scores of the machine that trained the student."""

    id: str
    text: str
    scores: dict[str, float]


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
    model = StudentModel(
        load_backbone(base or manifest.base.name, manifest.base.revision),
        manifest.pooling,
        len(manifest.dimensions),
        bias=manifest.head_bias,
    )
    adapter.merge(model, folder, manifest.trainable_parameters)
    chosen_device = choose_device(device)
    chosen_dtype = choose_dtype(dtype, chosen_device, int(model.config.hidden_size))
    return Student(
        filter=filter_,
        manifest=manifest,
        hash=student_hash(folder, manifest.base),
        device=str(chosen_device),
        dtype=dtype_name(chosen_dtype),
        tokeniser=Tokeniser(folder / TOKENIZER, manifest.max_tokens),
        forward=ReferenceForward(model, chosen_device, chosen_dtype),
        canaries=read_canaries(folder / CANARIES),
    )


def read_canaries(path: Path) -> tuple[Canary, ...]:
    """The folder's canaries. Raises StudentInvalid."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return tuple(Canary(**json.loads(line)) for line in lines if line.strip())
    except (ValueError, TypeError) as error:
        raise StudentInvalid(f"{path}: {error}") from None


def check_canaries(student: Student) -> list[tuple[Canary, dict[str, float], float]]:
    """Score the canaries again: each with its scores and their largest difference.

    Raises CanaryMismatch beyond the tolerance of the student's precision.
    """
    if not student.canaries:
        return []
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
