"""The forward pass through transformers, for any architecture: texts are padded to the longest of
their batch. On a CPU `cpu_forward` runs it on several threads; a GPU takes it where a model cannot
be packed."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from newsieve.inference.forward import Batch, Forward, PendingScores, ReadyScores
from newsieve.inference.model import StudentModel
from newsieve.inference.out_of_memory import raising_out_of_memory
from newsieve.inference.placement import place

CPU_BUDGET_TOKENS: Final = 2_048  # larger batches leave a CPU's caches
GPU_BUDGET_TOKENS: Final = 16_896  # fills 132 multiprocessors exactly


class PaddedForward(Forward):
    """Scores batches of token ids that are padded to the longest of them."""

    is_padded = True

    def __init__(
        self,
        model: StudentModel,
        device: torch.device,
        dtype: torch.dtype,
        budget_tokens: int | None = None,
    ) -> None:
        """Take the merged fp32 model over: the backbone goes to `dtype`, the head stays fp32."""
        default = CPU_BUDGET_TOKENS if device.type == "cpu" else GPU_BUDGET_TOKENS
        self.budget_tokens = budget_tokens or default
        place(model, device, dtype)
        self._model = model
        self._device = device

    def submit(self, batch: Batch) -> PendingScores:
        """Score the batch, and wait for the device."""
        ids, mask = _padded(batch)
        with raising_out_of_memory(), torch.inference_mode():
            scores = self._model(
                ids.to(self._device, non_blocking=True),
                mask.to(self._device, non_blocking=True),
            )
            return ReadyScores(scores.double().cpu().numpy())


def _padded(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, T) ids and mask, padded on the right with zeros."""
    width = max(map(len, batch))
    ids = np.zeros((len(batch), width), dtype=np.int64)
    mask = np.zeros((len(batch), width), dtype=np.int64)
    for row, tokens in enumerate(batch):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)
