"""Decides how many tokens a GPU's forward pass takes, by the memory that is free there.

It measures what a row costs by running one. It knows nothing of what a row is made of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch

# They fill an H200's 132 multiprocessors exactly, or an even part of them. More tokens than the
# largest save nothing: the matrix products are as fast as they get.
BUDGETS: Final = (33_792, 16_896, 8_448, 4_224, 2_112, 1_056)
MEASURED_TOKENS: Final = 2_112
# Of the memory that is free: the rest is for other students, and for recorded work, which keeps its
# memory to itself.
SHARE_OF_FREE: Final = 0.5


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
