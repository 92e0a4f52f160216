"""What a GPU's forward pass is made ready with: a check, a budget, and the fastest way to run it.

All of it is tried on the very model and device; none of it is a setting.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import torch

from newsieve.inference.batching import OutOfMemory
from newsieve.inference.device_memory import BUDGETS, choose_budget
from newsieve.inference.gpu_runs import choose_kernel, gpu_ways, keep_compiled_code, seconds_on
from newsieve.inference.model import StudentModel
from newsieve.inference.packed_attention import KERNEL_PARAMETERS, NotPackable
from newsieve.inference.packed_forward import PackedForward
from newsieve.inference.packing_check import require_exact
from newsieve.inference.row_runs import choose_runs, full_batch

PACKED_DTYPES: Final = (torch.bfloat16,)  # of what torch's kernel computes, what workers use


def gpu_forward(
    model: StudentModel,
    device: torch.device,
    dtype: torch.dtype,
    longest: int,
    budget_tokens: int | None,
    warn: Callable[[str], None],
) -> PackedForward:
    """Return the packed forward pass, checked, and as fast as this GPU runs it.

    Raises NotPackable.
    """
    if dtype not in PACKED_DTYPES:
        raise NotPackable("the attention of packed rows computes in bf16 only")
    if "window_size" not in KERNEL_PARAMETERS:
        raise NotPackable(f"torch {torch.__version__} has no attention for packed rows")
    with torch.cuda.device(device):
        forward = checked(model, device, dtype, longest)
        _fit_memory(forward, device, budget_tokens)
        try:
            _make_fast(forward, device, warn)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises: the plain way is there
            warn(f"rows are run kernel by kernel: {type(error).__name__}: {error}")
    return forward


def checked(
    model: StudentModel, device: torch.device, dtype: torch.dtype, longest: int
) -> PackedForward:
    """Return the packed forward pass of a model whose scores it leaves as they are.

    Raises NotPackable, and leaves the model its own attention.
    """
    forward = PackedForward(model, device, dtype, longest, BUDGETS[-1])
    try:
        require_exact(forward, dtype, device)
    except Exception as error:
        with suppress(NotPackable):
            forward.use_own_attention()
        if isinstance(error, NotPackable):
            raise
        raise NotPackable(f"a packed row fails: {type(error).__name__}: {error}") from error
    return forward


def _fit_memory(forward: PackedForward, device: torch.device, budget_tokens: int | None) -> None:
    """Let rows be as long as the device's free memory allows."""

    def run(tokens: int) -> None:
        forward(full_batch(forward, tokens))

    try:
        forward.set_budget(choose_budget(device, run, budget_tokens))
    except OutOfMemory:
        forward.set_budget(min(BUDGETS[-1], budget_tokens or BUDGETS[-1]))


def _make_fast(forward: PackedForward, device: torch.device, warn: Callable[[str], None]) -> None:
    """Let rows of the fixed shapes be run in the way that is fastest here."""
    keep_compiled_code()
    seconds = seconds_on(device)
    with torch.no_grad():
        row, _ = forward.stage(full_batch(forward, forward.budget_tokens))
        choose_kernel(forward.run, row, seconds)
    choose_runs(forward, gpu_ways(forward), seconds, warn)
