"""Merging a LoRA adapter into its base, in memory, strictly.

In fp32 and by the plain formula W + (α / r) · B · A (LoRA, Hu et al. 2021, section 4.1). Every
tensor of the file must find its place and every place its tensor; anything the formula does
not cover is refused rather than guessed at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from newsieve.errors import StudentInvalid
from newsieve.inference.manifest import ADAPTER, ADAPTER_CONFIG, LIMITS_BYTES, compile_targets
from newsieve.inference.model import StudentModel
from newsieve.inference.student_files import read_json, require_file
from newsieve.printable import one_line

PREFIX: Final = "base_model.model."
HEAD: Final = "score"
DTYPES: Final = ("F32", "F16", "BF16")
MOST_TARGETS: Final = 1_000  # names of layers; students adapt some seven kinds
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
    rank = int(config["r"])
    scale = float(config["lora_alpha"]) / rank
    targets = _targets(model, config["target_modules"])
    tensors = _tensors(folder, _expected_shapes(model, targets, rank), trainable_parameters)
    with torch.no_grad():
        for name, module in targets.items():
            down = tensors[f"{PREFIX}{name}.lora_A.weight"].float()
            up = tensors[f"{PREFIX}{name}.lora_B.weight"].float()
            module.weight += scale * (up @ down)
            _require_finite(folder, name, module.weight)
        for name, parameter in model.score.named_parameters():
            value = tensors[f"{PREFIX}{HEAD}.{name}"].float()
            _require_finite(folder, f"{HEAD}.{name}", value)
            parameter.copy_(value)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / ADAPTER_CONFIG
    try:
        config = read_json(path, LIMITS_BYTES[ADAPTER_CONFIG])
        for key, allowed in _PLAIN.items():
            if config.get(key) not in allowed:
                raise StudentInvalid(
                    f"{path}: {key} = {one_line(repr(config.get(key)))} is not supported; it "
                    f"must be {allowed[0]!r}"
                )
        if int(config["r"]) < 1 or float(config["lora_alpha"]) / int(config["r"]) <= 0:
            raise ValueError("r and lora_alpha must be set")
        _require_targets(config["target_modules"])
    except (
        ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError
    ) as error:  # fmt: skip
        raise StudentInvalid(
            f"{path} is not a LoRA configuration: {one_line(str(error))}"
        ) from None
    return dict(config)


def _require_targets(wanted: Any) -> None:
    if isinstance(wanted, str):
        compile_targets(wanted)
    elif not isinstance(wanted, list) or not all(isinstance(name, str) for name in wanted):
        raise TypeError("target_modules is neither a regular expression nor a list of names")
    if not wanted:
        raise ValueError("target_modules must be set")
    if isinstance(wanted, list) and len(wanted) > MOST_TARGETS:
        raise ValueError(f"target_modules has more than {MOST_TARGETS:,} names")


def _tensors(
    folder: Path, expected: Mapping[str, tuple[int, ...]], trainable_parameters: int
) -> dict[str, Tensor]:
    """The adapter's tensors, once the file's table says that they are what is expected."""
    path = folder / ADAPTER
    require_file(path, LIMITS_BYTES[ADAPTER])
    try:
        with safe_open(path, "pt") as file:
            table = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            shapes = {name: tuple(part.get_shape()) for name, part in table.items()}
            types = {name: part.get_dtype() for name, part in table.items()}
            _require_count(folder, shapes, trainable_parameters)
            _require_keys(folder, set(shapes), set(expected))
            for name in sorted(shapes):
                _require_table(folder, name, (shapes[name], expected[name]), types[name])
            return {name: file.get_tensor(name) for name in shapes}
    except (SafetensorError, OSError) as error:
        raise StudentInvalid(f"{path} cannot be read: {one_line(str(error))}") from None


def _require_count(
    folder: Path, shapes: Mapping[str, tuple[int, ...]], trainable_parameters: int
) -> None:
    count = sum(math.prod(shape) for shape in shapes.values())
    if count != trainable_parameters:
        raise StudentInvalid(
            f"{folder / ADAPTER} holds {count:,} parameters, its maker counted "
            f"{trainable_parameters:,}: the folder's files do not belong together"
        )


def _targets(model: StudentModel, wanted: str | list[str]) -> dict[str, nn.Linear]:
    """The linear layers that PEFT would adapt: a regular expression for the whole name, or
    names of last components."""

    pattern = compile_targets(wanted) if isinstance(wanted, str) else None

    def is_wanted(name: str) -> bool:
        if pattern is not None:
            return pattern.fullmatch(name) is not None
        return any(name == suffix or name.endswith(f".{suffix}") for suffix in wanted)

    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name != HEAD and is_wanted(name)
    }


def _expected_shapes(
    model: StudentModel, targets: dict[str, nn.Linear], rank: int
) -> dict[str, tuple[int, ...]]:
    expected = {
        f"{PREFIX}{HEAD}.{name}": tuple(parameter.shape)
        for name, parameter in model.score.named_parameters()
    }
    for name, module in targets.items():
        outputs, inputs = module.weight.shape
        expected[f"{PREFIX}{name}.lora_A.weight"] = (rank, inputs)
        expected[f"{PREFIX}{name}.lora_B.weight"] = (outputs, rank)
    return expected


def _require_keys(folder: Path, found: set[str], expected: set[str]) -> None:
    if found == expected:
        return
    missing, unexpected = sorted(expected - found), sorted(found - expected)
    raise StudentInvalid(
        f"{folder / ADAPTER} does not fit its base model: {len(missing)} tensors missing "
        f"{one_line(str(missing[:3]))}, {len(unexpected)} unexpected "
        f"{one_line(str(unexpected[:3]))}"
    )


def _require_table(
    folder: Path, name: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], dtype: str
) -> None:
    found, wanted = shapes
    name = name.removeprefix(PREFIX).removesuffix(".weight")
    if found != wanted:
        raise StudentInvalid(
            f"{folder / ADAPTER}: {name} has shape {found}, by the base model and "
            f"{ADAPTER_CONFIG} it must have {wanted}"
        )
    if dtype not in DTYPES:
        raise StudentInvalid(
            f"{folder / ADAPTER}: {name} is of type {dtype}, it must be one of {', '.join(DTYPES)}"
        )


def _require_finite(folder: Path, name: str, tensor: Tensor) -> None:
    if not bool(torch.isfinite(tensor).all()):
        raise StudentInvalid(f"{folder / ADAPTER}: {name} is not finite after merging")
