"""Decides which device and which precision to use, once, at the start, by what the hardware can do.

Nothing is timed: two workers on machines of one kind compute in one precision, however busy they
are. It knows nothing of models.
"""

from __future__ import annotations

from typing import Final, Literal

import torch

from newsieve.errors import SettingsInvalid
from newsieve.printable import one_line

Dtype = Literal["auto", "fp32", "bf16"]
DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16}

# What torch calls the instructions that multiply bf16 matrices: on x86, then on ARM. With AVX-512's
# bf16 is about 3 times as fast as fp32; without any, it is slower, and rounds scores by up to 0.2.
BF16_INSTRUCTIONS: Final = ("amx_bf16", "avx512_bf16", "bf16", "sve_bf16")
BF16_COMPUTE_CAPABILITY: Final = (8, 0)  # Ampere, the first GPUs that multiply bf16


def choose_device(wanted: str) -> torch.device:
    """The device of a setting, which is `auto` or a name that torch knows. Raises
    SettingsInvalid."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SettingsInvalid(
            f"student.device {wanted!r} cannot be used: {one_line(str(error))}"
        ) from None
    return device


def choose_dtype(wanted: Dtype, device: torch.device) -> torch.dtype:
    """The precision of a setting; `auto` is bf16 where the device has instructions for it."""
    if wanted != "auto":
        return DTYPES[wanted]
    return torch.bfloat16 if _multiplies_bf16(device) else torch.float32


def dtype_name(dtype: torch.dtype) -> str:
    return next(name for name, known in DTYPES.items() if known == dtype)


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= BF16_COMPUTE_CAPABILITY
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name, False) for name in BF16_INSTRUCTIONS)
    return False
