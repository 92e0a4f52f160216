"""Chooses the forward pass for a model, a device and a precision."""

from __future__ import annotations

import torch

from newsieve.inference.cpu_forward import cpu_forward
from newsieve.inference.forward import Forward
from newsieve.inference.model import StudentModel
from newsieve.inference.padded_forward import PaddedForward


def choose_forward(
    model: StudentModel, device: torch.device, dtype: torch.dtype, budget_tokens: int | None = None
) -> Forward:
    """Return the fastest forward pass for a merged fp32 model, which it takes over.

    `budget_tokens` replaces the budget that suits the device.
    """
    if device.type == "cpu":
        return cpu_forward(model, dtype, budget_tokens, torch.get_num_threads())
    return PaddedForward(model, device, dtype, budget_tokens)
