"""Merges a LoRA adapter into its base model, in memory, by PEFT and in fp32.

Every tensor of the file must belong to a layer that adapter_config.json names, and every such layer
must have its tensors. PEFT is given one linear layer at a time, with numbers and tensors: it reads
no file, asks no hub and imports nothing that a folder names.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from peft import LoraConfig
from peft.functional import inject_adapter_in_model, set_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from newsieve.errors import StudentInvalid
from newsieve.inference.adapter_config import (
    HEAD,
    AdaptedLayer,
    AdapterConfig,
    adapted_layers,
    plain_name,
    read_adapter_config,
)
from newsieve.inference.manifest import ADAPTER, ADAPTER_CONFIG, LIMITS_BYTES
from newsieve.inference.model import StudentModel
from newsieve.inference.student_files import MIB, require_file
from newsieve.printable import one_line

PREFIX: Final = "base_model.model."
DTYPES: Final = ("F32", "F16", "BF16")
MOST_TABLE_BYTES: Final = 4 * MIB  # of a file's names and shapes; a model's adapter has 100 kB
_LAYER: Final = "layer"  # the one layer of the model that PEFT gets

Shapes = Mapping[str, tuple[int, ...]]


def merge(model: StudentModel, folder: Path, trainable_parameters: int) -> None:
    """Merge the folder's adapter and head into the fp32 model. Raises StudentInvalid."""
    config = read_adapter_config(folder)
    try:
        layers = adapted_layers(model, config)
    except ValueError as error:
        raise StudentInvalid(f"{folder / ADAPTER_CONFIG}: {one_line(str(error))}") from None
    parts = {name: _parts(layer, config) for name, layer in layers.items()}
    parts[HEAD] = {name: tuple(item.shape) for name, item in model.score.named_parameters()}
    with torch.no_grad(), _open(folder) as file:
        keys = _keys(folder, file, parts, trainable_parameters)

        def tensors_of(name: str) -> dict[str, Tensor]:
            return {part: file.get_tensor(keys[name, part]).float() for part in parts[name]}

        for name, layer in layers.items():
            _merge_layer(layer, config, tensors_of(name))
            _require_finite(folder, name, layer.linear)
        model.score.load_state_dict(tensors_of(HEAD))
        _require_finite(folder, HEAD, model.score)


def _merge_layer(layer: AdaptedLayer, config: AdapterConfig, tensors: Mapping[str, Tensor]) -> None:
    """Let PEFT add what the adapter learnt to the layer's own weights."""
    holder = nn.ModuleDict({_LAYER: layer.linear})
    settings = LoraConfig(
        r=layer.rank,
        lora_alpha=layer.alpha,
        target_modules=[_LAYER],
        use_rslora=bool(config.use_rslora),
        use_dora=bool(config.use_dora),
        lora_bias=bool(config.lora_bias),
        init_lora_weights=False,
        inference_mode=True,
    )
    # Without memory for weights that are replaced at once, and without random numbers.
    inject_adapter_in_model(settings, holder, low_cpu_mem_usage=True)
    named = {f"{_LAYER}.{part}": tensor for part, tensor in tensors.items()}
    loaded = set_peft_model_state_dict(holder, named, low_cpu_mem_usage=True)
    if loaded.unexpected_keys:
        raise StudentInvalid(f"the installed PEFT does not know {loaded.unexpected_keys}")
    adapted: Any = holder[_LAYER]
    adapted.merge()


def _parts(layer: AdaptedLayer, config: AdapterConfig) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors that a layer's adapter has, by PEFT's names."""
    outputs, inputs = layer.linear.weight.shape
    parts: dict[str, tuple[int, ...]] = {
        "lora_A.weight": (layer.rank, inputs),
        "lora_B.weight": (outputs, layer.rank),
    }
    if config.lora_bias:
        parts["lora_B.bias"] = (outputs,)
    if config.use_dora:
        parts["lora_magnitude_vector"] = (outputs,)
    return parts


@contextmanager
def _open(folder: Path) -> Iterator[Any]:
    """Open the adapter's file, whose tensors are read when they are asked for."""
    path = folder / ADAPTER
    require_file(path, LIMITS_BYTES[ADAPTER])
    try:
        with path.open("rb") as stream:  # a file of safetensors begins with its table's size
            table_bytes = int.from_bytes(stream.read(8), "little")
        if table_bytes > MOST_TABLE_BYTES:
            raise StudentInvalid(
                f"{path}: its table has {table_bytes:,} bytes, of which at most "
                f"{MOST_TABLE_BYTES:,} are read"
            )
        with safe_open(path, "pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise StudentInvalid(f"{path} cannot be read: {one_line(str(error))}") from None


def _keys(
    folder: Path, file: Any, parts: Mapping[str, Shapes], trainable_parameters: int
) -> dict[tuple[str, str], str]:
    """Return the file's keys by layer and part, once its table says that all tensors are what they
    must be."""
    table = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 - no mapping
    shapes = {key: tuple(item.get_shape()) for key, item in table.items()}
    _require_count(folder, shapes, trainable_parameters)
    places = {
        f"{PREFIX}{name}.{part}": (name, part) for name, named in parts.items() for part in named
    }
    found = {_plain_key(key): key for key in table}
    _require_keys(folder, set(found), set(places))
    if len(found) < len(table):
        raise StudentInvalid(f"{folder / ADAPTER} has a tensor twice, under different prefixes")
    for key, (name, part) in sorted(places.items()):
        _require_table(
            folder,
            f"{name}.{part}".removesuffix(".weight"),
            (shapes[found[key]], parts[name][part]),
            table[found[key]].get_dtype(),
        )
    return {place: found[key] for key, place in places.items()}


def _plain_key(key: str) -> str:
    """Return a key as PEFT writes it for a model that nothing wraps."""
    plain = plain_name(key)
    if not plain.startswith(PREFIX):
        return plain
    return PREFIX + plain_name(plain.removeprefix(PREFIX))


def _require_count(folder: Path, shapes: Shapes, trainable_parameters: int) -> None:
    count = sum(math.prod(shape) for shape in shapes.values())
    if count != trainable_parameters:
        raise StudentInvalid(
            f"{folder / ADAPTER} holds {count:,} parameters, its maker counted "
            f"{trainable_parameters:,}: the folder's files do not belong together"
        )


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
    if found != wanted:
        raise StudentInvalid(
            f"{folder / ADAPTER}: {name} has shape {one_line(str(found))}, by the base model and "
            f"{ADAPTER_CONFIG} it must have {wanted}"
        )
    if dtype not in DTYPES:
        raise StudentInvalid(
            f"{folder / ADAPTER}: {name} is of type {dtype}, it must be one of {', '.join(DTYPES)}"
        )


def _require_finite(folder: Path, name: str, layer: nn.Module) -> None:
    for parameter in layer.parameters():
        extremes = torch.stack(torch.aminmax(parameter))  # not a number where any value is none
        if not bool(torch.isfinite(extremes).all()):
            raise StudentInvalid(f"{folder / ADAPTER}: {name} is not finite after merging")
