"""Recognizes that a device's memory did not hold a batch, in whatever words a library says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch

from newsieve.inference.batching import OutOfMemory

# A CPU's allocator, oneDNN, cuBLAS and CUDA itself raise a plain RuntimeError.
MESSAGES: Final = (
    "can't allocate memory",
    "could not create a primitive",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDA error: out of memory",
)


@contextmanager
def raising_out_of_memory() -> Iterator[None]:
    """Raise OutOfMemory where the block runs out of memory, of the device or of the machine."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        is_known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not is_known and not any(message in str(error) for message in MESSAGES):
            raise
        torch.cuda.empty_cache()  # without effect where no GPU is used
        raise OutOfMemory(str(error)) from error
