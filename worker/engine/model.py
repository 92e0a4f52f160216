"""The student as a module: backbone, pooling, linear head. Training and the worker share it.

Attribute names follow `Qwen2ForSequenceClassification` (`model`, `score`), so that a Qwen2
student's adapter also opens with plain PEFT.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from worker.engine.manifest import Pooling
from worker.errors import StudentInvalid

PACKAGE_PREFIX: Final = "package:"


class StudentModel(nn.Module):
    """Texts' token ids to raw scores."""

    def __init__(self, backbone: nn.Module, pooling: Pooling, outputs: int, *, bias: bool) -> None:
        super().__init__()
        config: Any = backbone.config
        self.config = config
        self.model = backbone
        self.pooling = pooling
        self.score = nn.Linear(int(config.hidden_size), outputs, bias=bias)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(N, T) ids, padded on the right, and their mask, to (N, D) raw scores.

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


def load_backbone(name: str, revision: str) -> nn.Module:
    """The base model in fp32, from a package, a folder or a hub. Raises StudentInvalid."""
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # of half a second, into a log
    location = base_location(name)
    try:
        backbone: nn.Module = AutoModel.from_pretrained(
            location, revision=revision, dtype=torch.float32, attn_implementation="sdpa"
        )
    except (OSError, ValueError) as error:
        raise StudentInvalid(
            f"the base model {name!r} (revision {revision}) cannot be loaded: {error}. "
            "Set NEWSIEVE_STUDENT__BASE to a folder that holds it"
        ) from None
    return backbone


def base_location(name: str) -> str:
    """Where transformers finds a base model: `package:x` means the folder `model/` inside x."""
    if not name.startswith(PACKAGE_PREFIX):
        return name
    package = name.removeprefix(PACKAGE_PREFIX)
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):  # of a package above it, or no name of a package
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise StudentInvalid(
            f"the base model is in the Python package {package}, which is not installed: "
            f"pip install {package.replace('_', '-')}"
        )
    return str(Path(next(iter(spec.submodule_search_locations))) / "model")
