"""The student as a module: backbone, pooling, linear head. Training and the worker share it.

Attribute names follow `Qwen2ForSequenceClassification` (`model`, `score`), so that a Qwen2
student's adapter also opens with plain PEFT.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from newsieve.errors import StudentInvalid
from newsieve.inference.base_files import require_loadable
from newsieve.inference.forward import Pooling
from newsieve.inference.imports import collector_paused
from newsieve.printable import one_line


class StudentModel(nn.Module):
    """Turns the token ids of texts into raw scores."""

    def __init__(self, backbone: nn.Module, pooling: Pooling, outputs: int, *, bias: bool) -> None:
        super().__init__()
        config: Any = backbone.config
        self.config = config
        self.model = backbone
        self.pooling = pooling
        self.score = nn.Linear(int(config.hidden_size), outputs, bias=bias)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Map (N, T) ids, padded on the right, and their mask to (N, D) raw scores.

        The head computes in its own precision, fp32, also where training lowers the rest.
        """
        extra = {"use_cache": False} if self.pooling == "last" else {}
        hidden = self.model(
            input_ids=input_ids, attention_mask=attention_mask, return_dict=True, **extra
        ).last_hidden_state
        if self.pooling == "last":
            last = attention_mask.sum(dim=1) - 1
            pooled = hidden[torch.arange(len(hidden), device=hidden.device), last]
        else:
            weights = attention_mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
        with torch.autocast(pooled.device.type, enabled=False):
            scores: Tensor = self.score(pooled.to(self.score.weight.dtype))
        return scores


def counted_from(model: StudentModel) -> int | None:
    """The padding's id, after which RoBERTa and its relatives begin to count positions."""
    backbone: Any = model.model
    embeddings: Any = getattr(backbone, "embeddings", None)
    if hasattr(embeddings, "create_position_ids_from_input_ids"):
        return int(embeddings.padding_idx)
    return None


def import_transformers() -> None:
    """Import what `load_backbone` needs of transformers, which takes seconds, ahead of time."""
    with collector_paused():
        importlib.import_module("transformers.modeling_utils")
        importlib.import_module("transformers.models.auto.modeling_auto")


def load_backbone(folder: Path) -> nn.Module:
    """Load the base model in a folder, in fp32. No code in it is run. Raises StudentInvalid."""
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # of half a second, into a log
    require_loadable(folder)
    try:
        backbone: nn.Module = AutoModel.from_pretrained(
            folder,
            dtype=torch.float32,
            attn_implementation="sdpa",
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
        )
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a model's constructor makes of a configuration
        raise StudentInvalid(
            f"the base model in {one_line(str(folder))} cannot be loaded: {one_line(str(error))}"
        ) from None
    return backbone
