"""Packed forward passes: the worker's own execution modes, and other kernels or FP8.

Each takes a copy of the merged fp32 student. One whose kernels are not there raises Unavailable.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.engine_cases import Models
from newsieve.inference.forward import Forward
from newsieve.inference.execution_choice import full_batch
from newsieve.inference.execution_modes import gpu_modes
from newsieve.inference.packed_forward import PackedForward
from newsieve.inference.padded_forward import CPU_BUDGET_TOKENS, GPU_BUDGET_TOKENS

FP8_COMPUTE_CAPABILITY = (8, 9)
FP8_MAX = 448.0  # the largest e4m3


class Unavailable(Exception):
    """This cannot be tried here: the message says why."""


def packed_forward(
    models: Models,
    longest: int,
    device: torch.device,
    dtype: torch.dtype,
    prepare: Callable[[nn.Module], None],
    mode: str | None,
) -> Forward:
    """Pack rows, and run the full ones in one of the worker's execution modes, by its name."""
    model = copy.deepcopy(models.merged)
    prepare(model.model)
    budget = CPU_BUDGET_TOKENS if device.type == "cpu" else GPU_BUDGET_TOKENS
    forward = PackedForward(model, device, dtype, longest, budget)
    if mode is not None:
        build = next(item.build for item in gpu_modes(forward) if item.name == mode)
        with torch.no_grad():
            for shape in forward.shapes[-1:]:
                row, _ = forward.stage(full_batch(forward, shape.tokens))
                forward.runners[shape] = build(row)
    return forward


def use_liger(backbone: nn.Module) -> None:
    """Take liger-kernel's norms and gated products. Raises Unavailable."""
    try:
        kernels = importlib.import_module("liger_kernel.transformers")
    except ImportError:
        raise Unavailable("liger-kernel is not installed") from None
    # Its rotation would be every model's: it replaces a function of transformers.
    kernels.apply_liger_kernel_to_qwen2(
        rope=False, fused_linear_cross_entropy=False, model=backbone
    )


def use_fp8(backbone: nn.Module) -> None:
    """Replace every linear layer by one that multiplies in FP8. Raises Unavailable."""
    if torch.cuda.get_device_capability() < FP8_COMPUTE_CAPABILITY:
        raise Unavailable("this card multiplies no FP8")
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
