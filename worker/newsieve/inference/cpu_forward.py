"""What a CPU's forward pass has beyond the padded one: packed weights, and several batches at once.

Two batches side by side, each on its part of the threads, do not wait for each other after every
kernel as the threads of one batch do, the longer the more tokenizer and broker use the same cores.
What it gains stands in benchmarks/results/engine_cpu.md.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from newsieve.inference.cpu_linear import can_pack, pack_linears, unpack_linears
from newsieve.inference.forward import Batch, Forward, PendingScores, Scores
from newsieve.inference.model import StudentModel
from newsieve.inference.padded_forward import PaddedForward

BATCHES_AT_ONCE: Final = 2  # a lone batch has half of the threads; more would leave it fewer
PROBE: Final[Batch] = [[0, 0]]
MOST_DIFFERENCE: Final = 0.05  # in score points, of packed weights: rounding, nothing else


class ConcurrentForward(Forward):
    """Runs the batches of another forward pass side by side, on threads of the process."""

    def __init__(self, forward: Forward, threads: int, *, is_alone: bool = False) -> None:
        """All forward passes of a process share its `threads`. With `is_alone` this one's batches
        are scored one after the other."""
        self.is_padded = forward.is_padded
        self.budget_tokens = forward.budget_tokens
        batches = min(BATCHES_AT_ONCE, threads)
        self.batches_in_flight = batches + 1  # the next one for whichever thread ends first
        self._forward = forward
        self._threads = _threads(threads)
        self._turn: AbstractContextManager[Any] = threading.Lock() if is_alone else nullcontext()

    def submit(self, batch: Batch) -> PendingScores:
        """Let a thread score the batch. Its result raises what the forward pass raises."""
        return self._threads.submit(self._score, batch)

    def _score(self, batch: Batch) -> Scores:
        with self._turn:
            return self._forward(batch)


@cache
def _threads(total: int) -> ThreadPoolExecutor:
    """The threads that score a process's batches, each with its part of those that torch uses."""
    batches = min(BATCHES_AT_ONCE, total)
    shares = iter([(total + index) // batches for index in range(batches)])

    def use_share() -> None:
        torch.get_num_threads()  # or torch sets this thread's number later, to the last one set
        torch.set_num_threads(next(shares))

    return ThreadPoolExecutor(batches, thread_name_prefix="cpu-forward", initializer=use_share)


def cpu_forward(
    model: StudentModel, dtype: torch.dtype, budget_tokens: int | None, threads: int
) -> Forward:
    """Return a CPU's forward pass for a merged fp32 model, which it takes over."""
    forward = PaddedForward(model, torch.device("cpu"), dtype, budget_tokens)
    if can_pack(dtype):
        _pack(model.model, forward)
    return ConcurrentForward(forward, threads, is_alone=_changes_while_it_runs(model.model))


def _pack(backbone: nn.Module, forward: Forward) -> None:
    """Pack the weights of a backbone, unless it does more with its linear layers than call them."""
    expected = forward(PROBE)
    pack_linears(backbone)
    try:
        is_same = bool(np.abs(forward(PROBE) - expected).max() <= MOST_DIFFERENCE)
    except Exception:  # noqa: BLE001 - whatever a model does with a weight in a layout that it does not know
        is_same = False
    if not is_same:
        unpack_linears(backbone)


def _changes_while_it_runs(backbone: nn.Module) -> bool:
    """Whether transformers adapts the position embedding to each batch's length, in place."""
    kinds: list[Any] = [getattr(module, "rope_type", "") for module in backbone.modules()]
    return any("dynamic" in str(kind) for kind in kinds)
