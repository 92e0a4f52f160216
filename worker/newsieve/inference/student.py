"""A loaded student: its identity, its tokenizer, its forward pass, its canaries.

It does not know what is done with the scores.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from newsieve.errors import CanaryMismatch, StudentInvalid
from newsieve.filters.registry import Filter
from newsieve.inference import adapter
from newsieve.inference.base_files import (
    TRUSTED_PACKAGES,
    find_base,
    require_hashes,
    require_trusted,
)
from newsieve.inference.batching import buckets
from newsieve.inference.device import Dtype, choose_device, choose_dtype, dtype_name
from newsieve.inference.forward import Forward, Scores
from newsieve.inference.forward_choice import choose_forward
from newsieve.inference.manifest import (
    CANARIES,
    LIMITS_BYTES,
    MANIFEST,
    TOKENIZER,
    Manifest,
    check_filter,
    read_manifest,
    student_hash,
)
from newsieve.inference.model import StudentModel, counted_from, import_transformers, load_backbone
from newsieve.inference.student_files import read_bytes
from newsieve.inference.tokenize import Tokeniser
from newsieve.inference.tokenizer_check import highest_id
from newsieve.printable import one_line
from newsieve.validation_text import validation_message

MOST_CANARIES: Final = 1_000  # all are scored at the start, and again every hour
LONGEST_ID: Final = 200  # characters
LONGEST_CANARY: Final = 100_000
CANARY_PASS_TOKENS: Final = 2_048  # with padding: what a CPU's caches hold
# What the same student may differ by between machines, in score points. fp32: other processors
# sum in another order. bf16: the largest error seen against fp32.
CANARY_TOLERANCE: Final = {"fp32": 0.01, "bf16": 0.2}


class Canary(BaseModel):
    """A fixed text with the scores of the machine that trained the student."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: str = Field(max_length=LONGEST_ID)
    text: str = Field(max_length=LONGEST_CANARY)
    scores: dict[str, FiniteFloat]


@dataclass(frozen=True)
class Student:
    """A student that is ready to score."""

    filter: Filter
    manifest: Manifest
    hash: str
    device: str
    dtype: str
    tokeniser: Tokeniser
    model: StudentModel
    forward: Forward
    canaries: tuple[Canary, ...]


def load_student(  # noqa: PLR0913 - a student, its machine, and who listens
    filter_: Filter,
    folder: Path,
    *,
    base: str | None = None,
    trusted_packages: Collection[str] = TRUSTED_PACKAGES,
    device: str = "auto",
    dtype: Dtype = "auto",
    budget_tokens: int | None = None,
    loaded: Collection[Student] = (),
    warn: Callable[[str], None] = lambda _: None,
) -> Student:
    """Load a student, merge its adapter, and check it. `base` overrides the base model's name, not
    which one it is, and `budget_tokens` how many tokens a forward pass takes. It shares what memory
    it can with the students that are `loaded`; `warn` is told what could not be made fast.

    Raises StudentInvalid for a folder that is incomplete, inconsistent or made for other labels,
    for a base that is not the student's, and for one in a package that is not trusted.
    """
    manifest = read_manifest(folder)
    check_filter(manifest, folder, filter_)
    canaries = read_canaries(folder / CANARIES, manifest.dimensions)
    tokenizer_file = read_bytes(folder / TOKENIZER, LIMITS_BYTES[TOKENIZER])
    texts = tuple(canary.text for canary in canaries)
    with ThreadPoolExecutor(1) as beside:  # a process of its own: it costs no time meanwhile
        trial = beside.submit(highest_id, tokenizer_file, texts, folder / TOKENIZER)
        import_transformers()
        highest = trial.result()
    tokeniser = Tokeniser(folder / TOKENIZER, manifest.max_tokens)
    name = base or manifest.base.name
    require_trusted(name, trusted_packages)
    place = find_base(name, manifest.base.revision)
    require_hashes(place, manifest.base.files, folder / MANIFEST)
    with _one_thread():
        model = StudentModel(
            load_backbone(place),
            manifest.pooling,
            len(manifest.dimensions),
            bias=manifest.head_bias,
        )
        _require_embeddings(highest, folder, model)
        _require_positions(manifest, folder, model)
        _require_fixed_positions(manifest, folder, model)
        adapter.merge(model, folder, manifest.trainable_parameters)
    chosen_device = choose_device(device)
    chosen_dtype = choose_dtype(dtype, chosen_device)
    forward = choose_forward(
        model,
        chosen_device,
        chosen_dtype,
        manifest.max_tokens,
        budget_tokens,
        others=[student.model for student in loaded],
        warn=warn,
    )
    return Student(
        filter=filter_,
        manifest=manifest,
        hash=student_hash(folder, manifest.base),
        device=str(chosen_device),
        dtype=dtype_name(chosen_dtype),
        tokeniser=tokeniser,
        model=model,
        forward=forward,
        canaries=canaries,
    )


def _require_positions(manifest: Manifest, folder: Path, model: StudentModel) -> None:
    positions = getattr(model.config, "max_position_embeddings", None)
    padding_id = counted_from(model)
    if positions is not None and padding_id is not None:
        positions -= padding_id + 1  # those up to the padding's are no token's
    if positions is not None and manifest.max_tokens > positions:
        raise StudentInvalid(
            f"the student in {folder} reads {manifest.max_tokens:,} tokens, its base model "
            f"only {positions:,}: correct max_tokens, or name the right base model"
        )


def _require_fixed_positions(manifest: Manifest, folder: Path, model: StudentModel) -> None:
    """Require that an article's scores cannot depend on the lengths of others: LongRoPE embeds all
    positions of a batch otherwise once its longest text has more tokens than the model began with.
    """
    rope = getattr(model.config, "rope_parameters", None) or {}
    for one in (rope, *(layers for layers in rope.values() if isinstance(layers, dict))):
        began_with = one.get("original_max_position_embeddings") or 0
        if one.get("rope_type") == "longrope" and manifest.max_tokens > began_with:
            raise StudentInvalid(
                f"the student in {folder} reads {manifest.max_tokens:,} tokens, and its base "
                f"model's positions (longrope) are a text's own up to {began_with:,} only: make a "
                "student with fewer max_tokens, or take another base model"
            )


def _require_embeddings(highest_id: int, folder: Path, model: StudentModel) -> None:
    backbone: Any = model.model
    rows = len(backbone.get_input_embeddings().weight)
    if highest_id >= rows:
        raise StudentInvalid(
            f"{folder / TOKENIZER} gives token ids up to {highest_id:,}, the base model knows "
            f"{rows:,}: take the base model's own tokenizer"
        )


def read_canaries(path: Path, dimensions: Sequence[str]) -> tuple[Canary, ...]:
    """Read the folder's canaries, at least one. Raises StudentInvalid."""
    try:
        lines = read_bytes(path, LIMITS_BYTES[CANARIES]).split(b"\n")
        found = [line for line in lines if line.strip()]
        if len(found) > MOST_CANARIES:
            raise StudentInvalid(f"{path} holds more than {MOST_CANARIES:,} canaries")
        canaries = tuple(Canary.model_validate_json(line) for line in found)
    except ValidationError as error:
        raise StudentInvalid(f"{path}: {validation_message(error)}") from None
    if not canaries:
        raise StudentInvalid(f"{path} is empty: nothing shows that the student scores as trained")
    for canary in canaries:
        if set(canary.scores) != set(dimensions):
            raise StudentInvalid(f"{path}: {one_line(canary.id)!r} has scores of other dimensions")
    return canaries


def raw_scores(student: Student, texts: Sequence[str], budget_tokens: int) -> Scores:
    """The (N, D) raw scores of texts, in few forward passes of at most so many tokens, here and
    now: one pass a text would be hundreds of waits for the slowest thread."""
    tokens = student.tokeniser.encode(texts)
    scores = np.empty((len(tokens), len(student.manifest.dimensions)))
    lengths = [len(row.ids) for row in tokens]
    pending = [
        (rows, student.forward.submit([tokens[row].ids for row in rows]))
        for rows in buckets(lengths, budget_tokens, is_padded=student.forward.is_padded)
    ]
    for rows, scored in pending:
        scores[rows] = scored.result()
    return scores


def check_canaries(student: Student) -> list[tuple[Canary, dict[str, float], float]]:
    """Score the canaries again: each with its scores and their largest difference.

    Raises CanaryMismatch beyond the tolerance of the student's precision.
    """
    names = student.manifest.dimensions
    found = []
    texts = [canary.text for canary in student.canaries]
    rows = raw_scores(student, texts, CANARY_PASS_TOKENS)
    for canary, row in zip(student.canaries, rows, strict=True):
        scores = dict(zip(names, row.tolist(), strict=True))
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
    """Set how many threads a CPU's forward passes use together; None leaves torch's default, the
    number of cores."""
    if threads:
        torch.set_num_threads(threads)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread inside the block: merging is many small products, and several
    threads would wait for each other after each, for seconds on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
