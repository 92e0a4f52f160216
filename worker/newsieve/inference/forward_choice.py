"""Chooses the forward pass for a model, a device and a precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from newsieve.inference.cpu_forward import cpu_forward
from newsieve.inference.forward import Forward
from newsieve.inference.model import StudentModel
from newsieve.inference.padded_forward import PaddedForward
from newsieve.inference.placement import share_parameters


def choose_forward(
    model: StudentModel,
    device: torch.device,
    dtype: torch.dtype,
    longest: int,
    budget_tokens: int | None = None,
    *,
    others: Sequence[StudentModel] = (),
    warn: Callable[[str], None] = lambda _: None,
) -> Forward:
    """Return the fastest forward pass for a merged fp32 model, which it takes over.

    On a GPU rows are packed, on a CPU, where that was measured to be slower, batches are padded.
    `longest` is the most tokens of a text, and `budget_tokens` limits those of a batch. The model
    shares what it can with `others`, which are placed already. `warn` is told what could not be
    made fast, and why.
    """
    if device.type == "cuda":
        # They import transformers, which takes seconds and is not needed everywhere.
        from newsieve.inference.gpu_forward import gpu_forward  # noqa: PLC0415
        from newsieve.inference.packed_attention import NotPackable  # noqa: PLC0415

        try:
            return gpu_forward(
                model, device, dtype, longest, budget_tokens, others=others, warn=warn
            )
        except NotPackable as refusal:
            warn(f"the model's batches are padded, which is slower: {refusal}")
    if device.type == "cpu":
        forward: Forward = cpu_forward(model, dtype, budget_tokens, torch.get_num_threads())
    else:
        forward = PaddedForward(model, device, dtype, budget_tokens)
    share_parameters(model, others)
    return forward
