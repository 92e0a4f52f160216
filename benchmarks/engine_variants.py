"""The ways to run one student's forward pass, by name, and how far each is from the reference.

Each is built from a copy of the fp32 models. A way whose library or device is not there says so
instead of a figure.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.engine_cases import MAX_TOKENS, Corpus, Models
from benchmarks.engine_measure import score_bare
from newsieve.inference.device import choose_dtype, dtype_name
from newsieve.inference.forward import Forward, Scores
from newsieve.inference.forward_choice import choose_forward
from newsieve.inference.padded_forward import (
    CPU_BUDGET_TOKENS, GPU_BUDGET_TOKENS, PaddedForward,
)  # fmt: skip

REFERENCE_ARTICLES = 64  # scored one by one in fp32, spread over the corpus
SPREAD = 2.0  # standard deviation of a student's scores, in points of the scale
FP8_COMPUTE_CAPABILITY = (8, 9)
FP8_MAX = 448.0  # the largest e4m3


class Unavailable(Exception):
    """This way cannot be tried here: the message says why."""


@dataclass(frozen=True)
class Variant:
    """One way to run the forward pass: its precision, and how it is built."""

    name: str
    dtype: torch.dtype
    build: Callable[[], Forward]


@dataclass(frozen=True)
class Built:
    """A way that is ready."""

    name: str
    dtype: torch.dtype
    forward: Forward


@dataclass(frozen=True)
class Difference:
    """How far a way's scores are from those of the unmerged fp32 model, one article a call."""

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
    """Build all ways worth a row on this device, and say of the others why they have none."""
    built, missing = [], []
    for variant in _variants(models, device, with_compiled=with_compiled):
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


def build_chosen(models: Models, device: torch.device, dtype: torch.dtype) -> Built:
    """Build the way that the worker takes."""
    return Built("chosen", dtype, choose_forward(copy.deepcopy(models.merged), device, dtype))


def _variants(models: Models, device: torch.device, *, with_compiled: bool) -> list[Variant]:
    found = []
    for dtype in precisions(device):
        ways = {
            "padded, unmerged": _padded(models, device, dtype, merged=False),
            "padded": _padded(models, device, dtype),
            "packed": _packed(models, device, dtype),
        }
        if with_compiled:
            ways["padded, compiled"] = _compiled(models, device, dtype)
        if device.type == "cuda":
            ways["packed, liger-kernel"] = _liger(models, device, dtype)
            ways["packed, products in FP8"] = _fp8(models, device, dtype)
        name = dtype_name(dtype)
        found += [Variant(f"{way}, {name}", dtype, build) for way, build in ways.items()]
    return found


def _padded(
    models: Models, device: torch.device, dtype: torch.dtype, *, merged: bool = True
) -> Callable[[], Forward]:
    return lambda: PaddedForward(
        copy.deepcopy(models.merged if merged else models.unmerged), device, dtype
    )


def _packed(
    models: Models,
    device: torch.device,
    dtype: torch.dtype,
    prepare: Callable[[nn.Module], None] = lambda _: None,
) -> Callable[[], Forward]:
    def build() -> Forward:
        model = copy.deepcopy(models.merged)
        prepare(model.model)
        module = importlib.import_module("newsieve.inference.packed_forward")
        longest = MAX_TOKENS
        budget = CPU_BUDGET_TOKENS if device.type == "cpu" else GPU_BUDGET_TOKENS
        return module.PackedForward(model, device, dtype, longest, budget)

    return build


def _compiled(models: Models, device: torch.device, dtype: torch.dtype) -> Callable[[], Forward]:
    def build() -> Forward:
        model = copy.deepcopy(models.merged)
        model.model.compile(dynamic=True)
        return PaddedForward(model, device, dtype)

    return build


def _liger(models: Models, device: torch.device, dtype: torch.dtype) -> Callable[[], Forward]:
    def prepare(backbone: nn.Module) -> None:
        try:
            kernels = importlib.import_module("liger_kernel.transformers")
        except ImportError:
            raise Unavailable("liger-kernel is not installed") from None
        kernels.apply_liger_kernel_to_qwen2(model=backbone)

    return _packed(models, device, dtype, prepare)


def _fp8(models: Models, device: torch.device, dtype: torch.dtype) -> Callable[[], Forward]:
    def prepare(backbone: nn.Module) -> None:
        if torch.cuda.get_device_capability(device) < FP8_COMPUTE_CAPABILITY:
            raise Unavailable("this card multiplies no FP8")
        use_fp8(backbone)

    return _packed(models, device, dtype, prepare)


def use_fp8(backbone: nn.Module) -> None:
    """Replace every linear layer by one that multiplies in FP8."""
    for module in list(backbone.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Linear):
                setattr(module, name, Fp8Linear(child))


class Fp8Linear(nn.Module):
    """A linear layer whose product is of FP8 numbers, with a scale for each row of both sides."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, scale = _rows_as_fp8(linear.weight.data)
        # As bytes and plain tensors: moving a module to bf16 would move FP8 and scales, too.
        self._weight, self._scale = weight, scale
        self.bias = linear.bias

    def forward(self, inputs: Tensor) -> Tensor:
        rows = inputs.reshape(-1, inputs.shape[-1])
        quantized, scale = _rows_as_fp8(rows)
        out = torch._scaled_mm(
            quantized, self._weight.t(), scale, self._scale.t(), out_dtype=torch.bfloat16
        )
        if self.bias is not None:
            out = out + self.bias
        return out.reshape(*inputs.shape[:-1], -1)


def _rows_as_fp8(matrix: Tensor) -> tuple[Tensor, Tensor]:
    scale = matrix.abs().amax(dim=1, keepdim=True).float().clamp(min=1e-12) / FP8_MAX
    return (matrix / scale).to(torch.float8_e4m3fn), scale


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
    """Compare a way's scores with the reference."""
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
