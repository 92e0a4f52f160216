"""Builds the trainable student: a frozen base, LoRA on the layers of the recipe, a linear head."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from peft import (
    LoraConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from newsieve.inference.base_files import find_base
from newsieve.inference.manifest import ADAPTER
from newsieve.inference.model import StudentModel, load_backbone
from newsieve_training.errors import FitFailed
from newsieve_training.pipeline.recipe import Recipe

HEAD: Final = "score"


def build(recipe: Recipe, label_means: npt.NDArray[np.float64]) -> PeftModel:
    """Build the model to train on the recipe's base model. Raises FitFailed, StudentInvalid."""
    base = recipe.base
    backbone: Any = load_backbone(find_base(base.name, base.revision))
    positions = getattr(backbone.config, "max_position_embeddings", base.max_tokens)
    if base.max_tokens > positions:
        raise FitFailed(f"base.max_tokens {base.max_tokens}: {base.name} reads {positions} at most")
    if recipe.fit.gradient_checkpointing:
        backbone.activation_checkpointing_enable()
    model = StudentModel(backbone, base.pooling, len(label_means), bias=base.head_bias)
    return adapt(model, recipe, label_means)


def adapt(
    model: StudentModel, recipe: Recipe, label_means: npt.NDArray[np.float64] | None = None
) -> PeftModel:
    """Add what is trained. A head with a bias starts at the labels' mean. Raises FitFailed."""
    if recipe.base.head_bias and label_means is not None:
        nn.init.zeros_(model.score.weight)
        model.score.bias.data = torch.tensor(label_means, dtype=torch.float32)
    config = LoraConfig(
        r=recipe.lora.rank,
        lora_alpha=recipe.lora.alpha,
        lora_dropout=recipe.lora.dropout,
        target_modules=recipe.lora.targets,
        modules_to_save=[HEAD],
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:  # no such layer, or none that LoRA can adapt
        raise FitFailed(f"lora.targets {recipe.lora.targets!r}: {error}") from None


def trainable_parameters(model: nn.Module) -> int:
    return sum(item.numel() for item in model.parameters() if item.requires_grad)


def all_parameters(model: nn.Module) -> int:
    return sum(item.numel() for item in model.parameters())


def require_trainable(model: nn.Module, expected: int, when: str) -> None:
    """Raise FitFailed if other parameters are trainable than before: a resumed model that trains
    only its head would look like a plateau."""
    now = trainable_parameters(model)
    if now != expected:
        raise FitFailed(f"{now:,} parameters are trainable {when}, {expected:,} before")


def read_adapter(path: Path) -> dict[str, Tensor]:
    """Read the tensors of an adapter file. Raises FitFailed."""
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise FitFailed(f"{path} cannot be read: {error}") from None
    return tensors


def is_head(name: str) -> bool:
    """Say whether a tensor or parameter of this name is the head's."""
    return f".{HEAD}." in name


def continue_from(model: PeftModel, adapter: Path) -> None:
    """Load another student's adapter, and its head where the file has one, into the model. Raises
    FitFailed when it does not fit."""
    theirs = read_adapter(adapter)
    ours = get_peft_model_state_dict(model)
    with_head = any(map(is_head, theirs))
    wanted = {n: tuple(t.shape) for n, t in ours.items() if with_head or not is_head(n)}
    if wanted != {name: tuple(tensor.shape) for name, tensor in theirs.items()}:
        raise FitFailed(
            "the student to continue from has other adapted layers or dimensions than the recipe; "
            "to begin from the base again, delete the run's folder start"
        )
    set_peft_model_state_dict(model, {**ours, **theirs})


def save(model: PeftModel, folder: Path) -> None:
    """Write adapter and head as PEFT files that also open as a sequence classifier."""
    config = model.peft_config["default"]
    config.task_type = "SEQ_CLS"
    config.base_model_name_or_path = None  # student.json names it; a path would be this machine's
    model.save_pretrained(folder, safe_serialization=True)
    if not (folder / ADAPTER).is_file():
        raise FitFailed(f"PEFT wrote no {ADAPTER}")


def center_head_bias(model: PeftModel, moved: npt.NDArray[np.float64]) -> None:
    """Move the head's bias by (D,) means of labels minus scores.

    Huber's loss fits medians, and most dimensions are skewed: uncentred, too few articles would
    reach a tier.
    """
    head = model.base_model.model.score.modules_to_save["default"]
    with torch.no_grad():
        head.bias += torch.as_tensor(moved, dtype=head.bias.dtype).to(head.bias)
