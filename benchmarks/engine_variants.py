"""Variants of one student's forward pass, by name, and how far each is from the reference.

Each is built from a copy of the fp32 models. A variant whose library or device is not there says so
instead of a figure.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.engine_cases import Corpus, Models
from benchmarks.engine_measure import score_bare
from benchmarks.engine_packed import Unavailable, packed_forward, use_fp8, use_liger
from newsieve.inference.device import choose_dtype, dtype_name
from newsieve.inference.forward import Forward, Scores
from newsieve.inference.forward_choice import choose_forward
from newsieve.inference.model import StudentModel
from newsieve.inference.padded_forward import PaddedForward

REFERENCE_ARTICLES = 64  # scored one by one in fp32, spread over the corpus
SPREAD = 2.0  # standard deviation of a student's scores, in points of the scale


@dataclass(frozen=True)
class Variant:
    """A variant of the forward pass: its precision, and how it is built."""

    name: str
    dtype: torch.dtype
    build: Callable[[], Forward]


@dataclass(frozen=True)
class Built:
    """A variant that is ready."""

    name: str
    dtype: torch.dtype
    forward: Forward


@dataclass(frozen=True)
class Difference:
    """How far a variant's scores are from those of the unmerged fp32 model, one article a call."""

    mean: float
    largest: float
    bias: float  # of the worst dimension
    rank_correlation: float  # of the worst dimension


def precisions(device: torch.device) -> list[torch.dtype]:
    """The precisions worth measuring: on a card its fast one, on a CPU fp32, too."""
    fast = choose_dtype("auto", device)
    return [fast] if device.type == "cuda" else list(dict.fromkeys((torch.float32, fast)))


def build_all(
    models: Models, corpus: Corpus, device: torch.device, *, with_compiled: bool
) -> tuple[list[Built], list[str]]:
    """Build all variants worth a row on this device, and say of the others why they have none."""
    built, missing = [], []
    longest = corpus.tokeniser.max_tokens
    for variant in _variants(models, longest, device, with_compiled=with_compiled):
        try:
            forward = variant.build()
            score_bare(forward, corpus.tokens[:1], [[0]])
        except Exception as error:  # noqa: BLE001 - whatever a library makes of this device is said
            why = next(iter(str(error).splitlines()), "")
            kind = "" if isinstance(error, Unavailable) else f"{type(error).__name__}: "
            missing += ["", f"Not measured: {variant.name}: {kind}{why}"]
            continue
        built.append(Built(variant.name, variant.dtype, forward))
    return built, missing


def build_chosen(models: Models, corpus: Corpus, device: torch.device, dtype: torch.dtype) -> Built:
    """Build the forward pass that the worker takes."""
    model, longest = copy.deepcopy(models.merged), corpus.tokeniser.max_tokens
    forward = choose_forward(
        model, device, dtype, longest, warn=lambda text: print(text, file=sys.stderr)
    )
    return Built(f"as the worker chooses, {dtype_name(dtype)}", dtype, forward)


def _variants(
    models: Models, longest: int, device: torch.device, *, with_compiled: bool
) -> list[Variant]:
    found = []
    for dtype in precisions(device):

        def packed(
            prepare: Callable[[nn.Module], None] = lambda _: None,
            mode: str | None = None,
            dtype: torch.dtype = dtype,
        ) -> Callable[[], Forward]:
            return lambda: packed_forward(models, longest, device, dtype, prepare, mode)

        passes = {
            "padded, unmerged": _padded(models.unmerged, device, dtype),
            "padded": _padded(models.merged, device, dtype),
            "packed": packed(),
        }
        if device.type == "cuda":
            passes["packed, as a CUDA graph"] = packed(mode="as a CUDA graph")
            passes["packed, liger-kernel"] = packed(use_liger)
            passes["packed, products in FP8"] = packed(use_fp8)
        if with_compiled:
            passes["padded, compiled"] = _padded(models.merged, device, dtype, is_compiled=True)
        if with_compiled and device.type == "cuda":
            for mode in ("compiled", "compiled, as a CUDA graph"):
                passes[f"packed, {mode}"] = packed(mode=mode)
                passes[f"packed, products in FP8, {mode}"] = packed(use_fp8, mode)
        name = dtype_name(dtype)
        found += [Variant(f"{kind}, {name}", dtype, build) for kind, build in passes.items()]
    return found


def _padded(
    model: StudentModel, device: torch.device, dtype: torch.dtype, *, is_compiled: bool = False
) -> Callable[[], Forward]:
    def build() -> Forward:
        own = copy.deepcopy(model)
        if is_compiled:
            own.model.compile(dynamic=True)
        return PaddedForward(own, device, dtype)

    return build


def reference(models: Models, corpus: Corpus, device: torch.device) -> tuple[list[int], Scores]:
    """Choose articles of a corpus, and score each alone by the unmerged model in fp32.

    A student of random weights is scaled before, so that its scores spread as a real one's.
    """
    step = max(len(corpus.tokens) // REFERENCE_ARTICLES, 1)
    rows = list(range(0, len(corpus.tokens), step))[:REFERENCE_ARTICLES]
    forward = PaddedForward(copy.deepcopy(models.unmerged), device, torch.float32)
    return rows, np.vstack([forward([corpus.tokens[row]]) for row in rows])


def scale_head(models: Models, scores: Scores) -> float:
    """Scale the head of random weights so that scores like these spread by `SPREAD`."""
    factor = SPREAD / float(scores.std(axis=0).mean())
    for model in (models.unmerged, models.merged):
        for name, parameter in model.named_parameters():
            if "score" in name.split("."):
                parameter.data.mul_(factor)
    return factor


def difference(expected: Scores, scores: Scores) -> Difference:
    """Compare a variant's scores with the reference."""
    off = scores - expected
    columns = zip(expected.T, scores.T, strict=True)
    return Difference(
        float(np.abs(off).mean()),
        float(np.abs(off).max()),
        float(np.abs(off.mean(axis=0)).max()),
        min(_rank_correlation(a, b) for a, b in columns),
    )


def _rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    ranks: list[Any] = [np.argsort(np.argsort(column)) for column in (first, second)]
    return float(np.corrcoef(*ranks)[0, 1])
