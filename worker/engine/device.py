"""Which device, which precision, how many threads: decided once, at start."""

from __future__ import annotations

import time
from typing import Final, Literal

import torch

from worker.errors import SettingsInvalid

Dtype = Literal["auto", "fp32", "bf16"]
DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16}

PROBE_SECONDS: Final = 0.05
PROBE_TOKENS: Final = 512
PROBE_MIN_WIDTH: Final = 384  # products of narrower models are too short to time
# bf16 rounds scores by up to 0.2, so it has to earn that. With AMX it is 3 times as fast as
# fp32, with AVX-512 alone about twice, without either slower.
BF16_MUST_GAIN: Final = 1.3


def choose_device(wanted: str) -> torch.device:
    """The device of a setting: `auto`, or a name torch knows. Raises SettingsInvalid."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SettingsInvalid(f"student.device {wanted!r} cannot be used: {error}") from None
    return device


def choose_dtype(wanted: Dtype, device: torch.device, width: int) -> torch.dtype:
    """bf16 on CUDA; on a CPU that has instructions for it, if a short probe finds it faster.

    `width` is the model's hidden size.
    """
    if wanted != "auto":
        return DTYPES[wanted]
    if device.type != "cpu":
        return torch.bfloat16
    if not _cpu_has_bf16():
        return torch.float32  # without asking a stopwatch, which a busy machine can mislead
    width = max(width, PROBE_MIN_WIDTH)
    gain = _seconds_per_product(torch.float32, width) / _seconds_per_product(torch.bfloat16, width)
    return torch.bfloat16 if gain > BF16_MUST_GAIN else torch.float32


def dtype_name(dtype: torch.dtype) -> str:
    return next(name for name, known in DTYPES.items() if known == dtype)


def _cpu_has_bf16() -> bool:
    capabilities = torch.cpu.get_capabilities()
    return any(known for name, known in capabilities.items() if name.endswith("bf16"))


def _seconds_per_product(dtype: torch.dtype, width: int) -> float:
    """The fastest of the products that fit into half of PROBE_SECONDS, after one to warm up."""
    tokens = torch.ones(PROBE_TOKENS, width, dtype=dtype)
    weight = torch.ones(4 * width, width, dtype=dtype)
    torch.nn.functional.linear(tokens, weight)
    best, end = float("inf"), time.perf_counter() + PROBE_SECONDS / 2
    while True:
        start = time.perf_counter()
        torch.nn.functional.linear(tokens, weight)
        now = time.perf_counter()
        best = min(best, now - start)
        if now > end:
            return best
