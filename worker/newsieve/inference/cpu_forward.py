"""What a CPU's forward pass has beyond the padded one: packed weights, and several batches at once.

Two batches of one thread each take a tenth less of a CPU than one batch of two threads, which wait
for each other after every kernel, the longer the more tokenizer and broker use the same cores.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import torch
from torch import nn

from newsieve.inference.cpu_linear import can_pack, pack_linears, unpack_linears
from newsieve.inference.forward import Batch, Forward, PendingScores
from newsieve.inference.model import StudentModel
from newsieve.inference.padded_forward import PaddedForward

BATCHES_AT_ONCE: Final = 2  # more would make a lone batch slower
PROBE: Final[Batch] = [[0, 0]]


class ConcurrentForward(Forward):
    """Runs the batches of another forward pass side by side, on threads of its own."""

    def __init__(self, forward: Forward, batches: int, threads: int) -> None:
        """`batches` run at once, and each uses its part of the threads."""
        self.is_padded = forward.is_padded
        self.budget_tokens = forward.budget_tokens
        self.batches_in_flight = batches + 1  # the next one for whichever thread ends first
        self._forward = forward
        self._pool = ThreadPoolExecutor(
            batches,
            thread_name_prefix="cpu-forward",
            initializer=torch.set_num_threads,
            initargs=(max(threads // batches, 1),),
        )

    def submit(self, batch: Batch) -> PendingScores:
        """Let a thread score the batch. Its result raises what the forward pass raises."""
        return self._pool.submit(self._forward, batch)


def cpu_forward(
    model: StudentModel, dtype: torch.dtype, budget_tokens: int | None, threads: int
) -> Forward:
    """Return a CPU's forward pass for a merged fp32 model, which it takes over."""
    forward = PaddedForward(model, torch.device("cpu"), dtype, budget_tokens)
    if can_pack(dtype):
        _pack(model.model, forward)
    batches = 1 if _changes_while_it_runs(model.model) else min(BATCHES_AT_ONCE, threads)
    return ConcurrentForward(forward, batches, threads)


def _pack(backbone: nn.Module, forward: Forward) -> None:
    """Pack the weights of a backbone, unless it does more with its linear layers than call them."""
    pack_linears(backbone)
    try:
        forward(PROBE)
    except Exception:  # noqa: BLE001 - whatever a model does with a weight in a layout that it does not know
        unpack_linears(backbone)


def _changes_while_it_runs(backbone: nn.Module) -> bool:
    """Whether transformers adapts the position embedding to each batch's length, in place."""
    kinds: list[Any] = [getattr(module, "rope_type", "") for module in backbone.modules()]
    return any("dynamic" in str(kind) or "longrope" in str(kind) for kind in kinds)
