"""Merging a LoRA adapter into its base, in memory, strictly.

In fp32 and by the plain formula W + (α / r) · B · A (LoRA, Hu et al. 2021, section 4.1). Every
tensor of the file must find its place and every place its tensor; anything the formula does
not cover is refused rather than guessed at.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from worker.engine.manifest import ADAPTER, ADAPTER_CONFIG
from worker.engine.model import StudentModel
from worker.errors import StudentInvalid

PREFIX: Final = "base_model.model."
HEAD: Final = "score"
# Settings of PEFT under which the formula above is the whole truth.
_PLAIN: Final[dict[str, tuple[Any, ...]]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    "use_rslora": (False, None),
    "use_dora": (False, None),
    "fan_in_fan_out": (False, None),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "layers_to_transform": (None,),
    "modules_to_save": (["score"],),
}


def merge(model: StudentModel, folder: Path, trainable_parameters: int) -> None:
    """Merge the folder's adapter and head into the fp32 model. Raises StudentInvalid."""
    config = _config(folder)
    tensors = _tensors(folder)
    count = sum(tensor.numel() for tensor in tensors.values())
    if count != trainable_parameters:
        raise StudentInvalid(
            f"{folder / ADAPTER} holds {count:,} parameters, its maker counted "
            f"{trainable_parameters:,}: the folder's files do not belong together"
        )
    targets = _targets(model, config["target_modules"])
    _require_keys(folder, set(tensors), _expected_keys(model, targets))
    rank = int(config["r"])
    scale = float(config["lora_alpha"]) / rank
    with torch.no_grad():
        for name, module in targets.items():
            down = tensors[f"{PREFIX}{name}.lora_A.weight"].float()
            up = tensors[f"{PREFIX}{name}.lora_B.weight"].float()
            outputs, inputs = module.weight.shape
            _require_shape(folder, f"{name}.lora_A", down, (rank, inputs))
            _require_shape(folder, f"{name}.lora_B", up, (outputs, rank))
            module.weight += scale * (up @ down)
            _require_finite(folder, name, module.weight)
        for name, parameter in model.score.named_parameters():
            value = tensors[f"{PREFIX}{HEAD}.{name}"].float()
            _require_shape(folder, f"{HEAD}.{name}", value, tuple(parameter.shape))
            _require_finite(folder, f"{HEAD}.{name}", value)
            parameter.copy_(value)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / ADAPTER_CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        for key, allowed in _PLAIN.items():
            if config.get(key) not in allowed:
                raise StudentInvalid(
                    f"{path}: {key} = {config.get(key)!r} is not supported; it must be "
                    f"{allowed[0]!r}"
                )
        if int(config["r"]) < 1 or float(config["lora_alpha"]) / int(config["r"]) <= 0:
            raise ValueError("r and lora_alpha must be set")
        _require_targets(config["target_modules"])
    except (
        ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError, re.error
    ) as error:  # fmt: skip
        raise StudentInvalid(f"{path} is not a LoRA configuration: {error}") from None
    return dict(config)


def _require_targets(wanted: Any) -> None:
    if isinstance(wanted, str):
        re.compile(wanted)
    elif not isinstance(wanted, list) or not all(isinstance(name, str) for name in wanted):
        raise TypeError("target_modules is neither a regular expression nor a list of names")
    if not wanted:
        raise ValueError("target_modules must be set")


def _tensors(folder: Path) -> dict[str, Tensor]:
    try:
        return load_file(folder / ADAPTER)
    except (SafetensorError, OSError) as error:
        raise StudentInvalid(f"{folder / ADAPTER} cannot be read: {error}") from None


def _targets(model: StudentModel, wanted: str | list[str]) -> dict[str, nn.Linear]:
    """The linear layers that PEFT would adapt: a regular expression for the whole name, or
    names of last components."""

    def is_wanted(name: str) -> bool:
        if isinstance(wanted, str):
            return re.fullmatch(wanted, name) is not None
        return any(name == suffix or name.endswith(f".{suffix}") for suffix in wanted)

    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name != HEAD and is_wanted(name)
    }


def _expected_keys(model: StudentModel, targets: dict[str, nn.Linear]) -> set[str]:
    head = {f"{PREFIX}{HEAD}.{name}" for name, _ in model.score.named_parameters()}
    return head | {f"{PREFIX}{name}.lora_{half}.weight" for name in targets for half in "AB"}


def _require_keys(folder: Path, found: set[str], expected: set[str]) -> None:
    if found == expected:
        return
    missing, unexpected = sorted(expected - found), sorted(found - expected)
    raise StudentInvalid(
        f"{folder / ADAPTER} does not fit its base model: {len(missing)} tensors missing "
        f"{missing[:3]}, {len(unexpected)} unexpected {unexpected[:3]}"
    )


def _require_shape(folder: Path, name: str, tensor: Tensor, wanted: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != wanted:
        raise StudentInvalid(
            f"{folder / ADAPTER}: {name} has shape {tuple(tensor.shape)}, by the base model and "
            f"{ADAPTER_CONFIG} it must have {wanted}"
        )


def _require_finite(folder: Path, name: str, tensor: Tensor) -> None:
    if not bool(torch.isfinite(tensor).all()):
        raise StudentInvalid(f"{folder / ADAPTER}: {name} is not finite after merging")
