"""Makes a GPU's forward pass ready: chooses its kernel, budget and execution mode, and checks it.

All of it is tried on the very model and device; none of it is a setting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import torch

from newsieve.inference.attention_kernel import KERNEL_CHOICE
from newsieve.inference.batching import OutOfMemory
from newsieve.inference.execution_choice import choose_execution, full_batch
from newsieve.inference.execution_modes import gpu_modes, seconds_on
from newsieve.inference.model import StudentModel
from newsieve.inference.packed_attention import KERNEL_PARAMETERS, NotPackable
from newsieve.inference.packed_forward import PackedForward
from newsieve.inference.packing_check import require_exact
from newsieve.inference.placement import share_parameters

PACKED_DTYPES: Final = (torch.bfloat16,)  # of what torch's kernel computes, what workers use
# They fill an H200's 132 multiprocessors exactly, or an even part of them. More tokens than the
# largest save nothing: the matrix products are as fast as they get.
BUDGETS: Final = (33_792, 16_896, 8_448, 4_224, 2_112, 1_056)
MEASURED_TOKENS: Final = 2_112
KERNEL_TOKENS: Final = 8_448  # of the row that the attention kernels are timed with
# Of the memory that is free. CUDA graphs of the four fixed shapes keep 1.9 times a full row's, and
# a row of another shape needs 1 beside them; the rest is for other students.
SHARE_OF_FREE: Final = 0.3


def gpu_forward(
    model: StudentModel,
    device: torch.device,
    dtype: torch.dtype,
    longest: int,
    budget_tokens: int | None,
    *,
    others: Sequence[StudentModel],
    warn: Callable[[str], None],
) -> PackedForward:
    """Return the packed forward pass, checked, and as fast as this GPU runs it.

    The model shares what it can with `others`, before anything is captured. Raises NotPackable, and
    leaves the model its own attention.
    """
    if dtype not in PACKED_DTYPES:
        raise NotPackable("the attention of packed rows computes in bf16 only")
    if "window_size" not in KERNEL_PARAMETERS:
        raise NotPackable(f"torch {torch.__version__} has no attention for packed rows")
    with torch.cuda.device(device):
        forward = PackedForward(model, device, dtype, longest, BUDGETS[-1])
        share_parameters(model, others)
        _choose_kernel(forward, device, budget_tokens)
        require_exact(forward, dtype, device)  # with the kernel that will be used
        _fit_memory(forward, device, budget_tokens)
        try:
            choose_execution(forward, gpu_modes(forward), seconds_on(device), warn)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises: the eager mode is there
            warn(f"rows are run kernel by kernel: {type(error).__name__}: {error}")
    return forward


def _choose_kernel(forward: PackedForward, device: torch.device, budget_tokens: int | None) -> None:
    """Choose the process's attention kernel, unless a student before this one did."""
    tokens = min(KERNEL_TOKENS, budget_tokens or KERNEL_TOKENS)
    with suppress(Exception), torch.no_grad():  # what fails here fails in the check, too
        row, _ = forward.stage(full_batch(forward, tokens))
        KERNEL_CHOICE.make(forward.run_eagerly, row, seconds_on(device))


def _fit_memory(forward: PackedForward, device: torch.device, budget_tokens: int | None) -> None:
    """Let rows be as long as the device's free memory allows."""

    def run(tokens: int) -> None:
        forward(full_batch(forward, tokens))

    try:
        forward.set_budget(choose_budget(device, run, budget_tokens))
    except OutOfMemory:
        forward.set_budget(min(BUDGETS[-1], budget_tokens or BUDGETS[-1]))


def choose_budget(
    device: torch.device, run: Callable[[int], None], wanted: int | None = None
) -> int:
    """The largest budget whose rows fit the device's free memory, `wanted` at most.

    `run` scores a row of so many tokens. Raises what it raises when not even a small row fits.
    """
    bytes_per_token = _bytes_per_token(device, run)
    largest = largest_budget(_free_bytes(device), bytes_per_token)
    return largest if wanted is None else min(wanted, largest)


def largest_budget(free_bytes: int, bytes_per_token: float) -> int:
    """The largest of the budgets that fits, or the smallest of all."""
    fitting = (size for size in BUDGETS if size * bytes_per_token <= free_bytes * SHARE_OF_FREE)
    return next(fitting, BUDGETS[-1])


def _bytes_per_token(device: torch.device, run: Callable[[int], None]) -> float:
    """What a row needs at its peak, beside the weights."""
    run(MEASURED_TOKENS)  # once before: libraries reserve workspaces of their own
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    run(MEASURED_TOKENS)
    torch.cuda.synchronize(device)
    return (torch.cuda.max_memory_allocated(device) - before) / MEASURED_TOKENS


def _free_bytes(device: torch.device) -> int:
    """What the device has free, with what torch holds of it unused."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
