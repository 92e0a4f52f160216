"""Reads adapter_config.json, in which PEFT writes how an adapter was made, and says which linear
layers of a base model it changes, and with which rank and scale.

It takes LoRA and those settings under which PEFT's merged weights score as PEFT's adapter does, and
refuses every other setting by name. It resolves names and patterns itself, as PEFT does but by RE2,
so that nothing of the file but numbers and switches reaches PEFT. It reads no weights.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    model_validator,
)
from torch import nn

from newsieve.errors import StudentInvalid
from newsieve.inference.manifest import ADAPTER_CONFIG, LIMITS_BYTES, compile_targets
from newsieve.inference.student_files import read_json
from newsieve.printable import one_line
from newsieve.validation_text import validation_message

V = TypeVar("V", int, float)

HEAD: Final = "score"
ALL_LINEAR: Final = "all-linear"  # PEFT's word for every linear layer but the head
MOST_NAMES: Final = 1_000  # of layers, patterns; students adapt some seven kinds of layers
LONGEST_PATTERN: Final = 200  # characters; a layer's whole name has some 60
LARGEST_RANK: Final = 1 << 13  # of published adapters: 512
# Settings of PEFT that change no score of a trained adapter, whatever their value.
WITHOUT_EFFECT: Final = frozenset({
    "auto_mapping",  # what PEFT would import, if it read the file
    "base_model_name_or_path",  # student.json names the base
    "eva_config",  # how the first weights were chosen
    "inference_mode",
    "lora_dropout",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "task_type",
})  # fmt: skip
_COMPILED: Final = re.compile(r"(?<![^.])_orig_mod\.")  # torch.compile's wrapper in a name
_WRAPPED: Final = re.compile(r"^(?:module\.)+")  # that of DistributedDataParallel
# Patterns for names that Python's re and RE2 read alike, and that no count makes large.
_COMMON_PATTERN: Final = re.compile(r"(?:(?!\(\?[^:]|\[:)[\w.^$|()*+?:\[\]-]|\\[.dw-])+", re.ASCII)
_FIRST_NUMBER: Final = re.compile(r".*?\.[^.]*\.(\d+)\.")


def plain_name(name: str) -> str:
    """Return a layer's name without the prefixes of torch.compile and DistributedDataParallel."""
    return _WRAPPED.sub("", _COMPILED.sub("", name))


def _names_layers(wanted: object) -> object:
    if isinstance(wanted, str) and wanted:
        if wanted.lower() != ALL_LINEAR:
            compile_targets(wanted)
    elif (
        not isinstance(wanted, list)
        or not 1 <= len(wanted) <= MOST_NAMES
        or not all(isinstance(name, str) and name for name in wanted)
    ):
        raise ValueError(f"must be a regular expression or a list of at most {MOST_NAMES:,} names")
    return wanted


def _as_list(value: object) -> object:
    return [value] if isinstance(value, int | str) and value != "" else value or None


def _is_common_pattern(pattern: str) -> str:
    if not _COMMON_PATTERN.fullmatch(pattern):
        raise ValueError(f"{one_line(pattern)!r} is no plain pattern for names of layers")
    compile_targets(pattern)
    return pattern


Layers = Annotated[str | list[str], BeforeValidator(_names_layers)]
Pattern = Annotated[str, Field(max_length=LONGEST_PATTERN), AfterValidator(_is_common_pattern)]
Index = Annotated[int, Field(ge=0, le=MOST_NAMES)]
Numbers = Annotated[list[Index], Field(max_length=MOST_NAMES)]
ListName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,100}$")]
ListNames = Annotated[list[ListName], Field(max_length=10)]
Rank = Annotated[int, Field(ge=1, le=LARGEST_RANK)]
Alpha = Annotated[FiniteFloat, Field(gt=0)]


class AdapterConfig(BaseModel):
    """The settings that decide how an adapter scores, under the names that PEFT gives them."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    peft_type: Literal["LORA"]
    r: Rank
    lora_alpha: Alpha
    target_modules: Layers
    exclude_modules: Annotated[Layers | None, BeforeValidator(lambda names: names or None)] = None
    layers_to_transform: Annotated[Numbers | None, BeforeValidator(_as_list)] = None
    layers_pattern: Annotated[ListNames | None, BeforeValidator(_as_list)] = None
    rank_pattern: Annotated[dict[Pattern, Rank], Field(max_length=MOST_NAMES)] | None = None
    alpha_pattern: Annotated[dict[Pattern, Alpha], Field(max_length=MOST_NAMES)] | None = None
    use_rslora: bool | None = None
    use_dora: bool | None = None
    lora_bias: bool | None = None
    bias: Literal["none"] = "none"
    fan_in_fan_out: Literal[False] | None = None
    # A classifier's folder names both of the heads that transformers' classifiers may have.
    modules_to_save: Annotated[list[Literal["score", "classifier"]], Field(max_length=10)]
    # Other ways of choosing the first weights change the base's, too.
    init_lora_weights: Literal[True, False, "gaussian", "orthogonal", "eva"] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name, value in (self.__pydantic_extra__ or {}).items():
            if name not in WITHOUT_EFFECT and value not in (None, False, "", [], {}):
                raise ValueError(f"{one_line(name)} is not supported")
        if HEAD not in self.modules_to_save:
            raise ValueError(f"modules_to_save must name the head, {HEAD}")
        if isinstance(self.target_modules, str) and self.layers_to_transform is not None:
            raise ValueError("layers_to_transform needs target_modules to be a list of names")
        if self.layers_pattern and self.layers_to_transform is None:
            raise ValueError("layers_pattern needs layers_to_transform")
        if self.use_dora and self.lora_bias:
            raise ValueError("lora_bias is not supported together with use_dora")
        return self


class AdaptedLayer(NamedTuple):
    """A linear layer of the base that the adapter changes, by low-rank matrices of this rank whose
    product is scaled by alpha."""

    linear: nn.Linear
    rank: int
    alpha: float


def read_adapter_config(folder: Path) -> AdapterConfig:
    """Read the folder's adapter_config.json. Raises StudentInvalid for what is not supported."""
    path = folder / ADAPTER_CONFIG
    try:
        return AdapterConfig.model_validate(read_json(path, LIMITS_BYTES[ADAPTER_CONFIG]))
    except ValidationError as error:
        raise StudentInvalid(
            f"{path} is not a LoRA configuration: {validation_message(error)}"
        ) from None


def adapted_layers(model: nn.Module, config: AdapterConfig) -> dict[str, AdaptedLayer]:
    """Return the linear layers that PEFT would adapt under these settings, by their names. Raises
    ValueError where the settings do not fit the model."""
    targets = dict(_targets(model, config))
    if not targets:
        raise ValueError("target_modules names no layer of the base model")
    uses = Counter(id(item) for _, item in model.named_parameters(remove_duplicate=False))
    for name, linear in targets.items():
        if any(uses[id(parameter)] > 1 for parameter in linear.parameters()):
            raise ValueError(f"target_modules names {name}, whose weights another layer shares")
        if config.lora_bias and linear.bias is None:
            raise ValueError(f"lora_bias needs a bias, and {name} has none")
    ranks = _by_name("rank_pattern", config.rank_pattern or {}, targets)
    alphas = _by_name("alpha_pattern", config.alpha_pattern or {}, targets)
    return {
        name: AdaptedLayer(linear, ranks.get(name, config.r), alphas.get(name, config.lora_alpha))
        for name, linear in targets.items()
    }


def _targets(model: nn.Module, config: AdapterConfig) -> Iterator[tuple[str, nn.Linear]]:
    wanted = config.target_modules
    takes_all = isinstance(wanted, str) and wanted.lower() == ALL_LINEAR
    is_wanted = (lambda _name: True) if takes_all else _matcher(wanted)
    is_excluded = _matcher(config.exclude_modules or [])
    for name, module in model.named_modules():
        is_linear = isinstance(module, nn.Linear)
        if (
            not name
            or not set(config.modules_to_save).isdisjoint(name.split("."))
            or is_excluded(name)
            or not is_wanted(name)
            or (takes_all and not is_linear)
            or not _is_in_wanted_layer(name, config)
        ):
            continue
        if not isinstance(module, nn.Linear):
            raise ValueError(f"target_modules names {name}, which is no linear layer")
        yield name, module


def _matcher(wanted: str | list[str]) -> Callable[[str], bool]:
    """Return what says whether a layer is named: by a regular expression for its whole name, or in
    a list of whole names and ends of names."""
    if isinstance(wanted, str):
        pattern = compile_targets(wanted)
        return lambda name: pattern.fullmatch(name) is not None
    names = frozenset(map(plain_name, wanted))
    return lambda name: not names.isdisjoint(_ends(name))


def _ends(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.partition(".")[2]


def _is_in_wanted_layer(name: str, config: AdapterConfig) -> bool:
    """Say whether the layer lies in one of layers_to_transform. A layer that is named in full is
    taken whatever its number, as with PEFT."""
    numbers = config.layers_to_transform
    if not numbers or name in map(plain_name, config.target_modules):
        return True
    patterns = [
        re.compile(rf"(?:^|.*?\.){item}\.(\d+)\.") for item in config.layers_pattern or []
    ] or [_FIRST_NUMBER]
    found = next(filter(None, (pattern.match(name) for pattern in patterns)), None)
    return found is not None and int(found[1]) in numbers


def _by_name(setting: str, values: Mapping[str, V], names: Collection[str]) -> dict[str, V]:
    """Return the values of rank_pattern or alpha_pattern by layer. The first pattern that ends a
    layer's name decides, as with PEFT; one that ends no name is an error, where PEFT warns."""
    found: dict[str, V] = {}
    for key, value in values.items():
        pattern = compile_targets(rf"(.*\.)?({key})")
        matching = [name for name in names if pattern.fullmatch(name) is not None]
        if not matching:
            raise ValueError(f"{setting} names {one_line(key)!r}, which adapts no layer")
        for name in matching:
            found.setdefault(name, value)
    return found
