"""The forward pass through transformers: any architecture, padded buckets. The slow path on a
GPU, the only one on a CPU, and the yardstick of any faster one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from newsieve.inference.batching import OutOfMemory
from newsieve.inference.model import StudentModel


class PaddedForward:
    """Scores buckets of token ids. Use from one thread."""

    def __init__(self, model: StudentModel, device: torch.device, dtype: torch.dtype) -> None:
        """Take the merged fp32 model over: the backbone goes to `dtype`, the head stays fp32."""
        model.eval().requires_grad_(requires_grad=False)
        model.model.to(device=device, dtype=dtype)
        model.score.to(device=device)
        self._model = model
        self._device = device

    def __call__(self, batch: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
        """The (N, D) raw scores of N texts. Raises OutOfMemory, or whatever the model raises."""
        ids, mask = _padded(batch)
        try:
            with torch.inference_mode():
                scores = self._model(
                    ids.to(self._device, non_blocking=True),
                    mask.to(self._device, non_blocking=True),
                )
                found: npt.NDArray[np.float64] = scores.double().cpu().numpy()
                return found
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise OutOfMemory(str(error)) from error


def _padded(batch: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, T) ids and mask, padded on the right with zeros."""
    width = max(map(len, batch))
    ids = np.zeros((len(batch), width), dtype=np.int64)
    mask = np.zeros((len(batch), width), dtype=np.int64)
    for row, tokens in enumerate(batch):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)
