"""Adapters of tiny bases as PEFT writes them, and their scores by PEFT's own unmerged forward."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from newsieve.inference import adapter
from newsieve.inference.model import StudentModel, load_backbone
from tests.support.tiny_student import VOCABULARY, Kind, make_base

OUTPUTS = 8
LENGTHS = (1, 2, 7, 30, 63)
Settings = Mapping[str, Any]


class Tiny(NamedTuple):
    """A random base, and the names of its layers."""

    backbone: nn.Module
    kind: Kind
    query: str
    value: str
    layers: str  # the list of them
    folder: Path

    def student(self) -> StudentModel:
        """The base under a head, as the worker builds it before it merges."""
        torch.manual_seed(5)
        bias = self.kind == "bert"
        return StudentModel(
            deepcopy(self.backbone), "mean" if bias else "last", OUTPUTS, bias=bias
        ).eval()


def make_tiny(folder: Path, kind: Kind) -> Tiny:
    backbone = load_backbone(make_base(folder, kind))
    if kind == "bert":
        return Tiny(backbone, kind, "query", "value", "layer", folder)
    return Tiny(backbone, kind, "q_proj", "v_proj", "layers", folder)


def save_adapter(model: nn.Module, folder: Path, settings: Settings) -> Path:
    """Adapt the model by PEFT, with weights that all change scores, and save it as PEFT does."""
    adapted: Any = get_peft_model(model, LoraConfig(**settings))
    torch.manual_seed(7)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "magnitude" in name:
                parameter.mul_(torch.empty_like(parameter).uniform_(0.5, 1.5))
            elif "lora_A" in name or "lora_B" in name:
                nn.init.normal_(parameter, std=0.3)
            elif "modules_to_save" in name:
                nn.init.normal_(parameter, std=0.5)
    adapted.peft_config["default"].task_type = "SEQ_CLS"  # as training writes it
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*have invalid shape")  # of lora_bias; it is not
        adapted.save_pretrained(folder)
    return folder


def peft_scores(model: nn.Module, folder: Path) -> np.ndarray:
    """The folder's scores by PEFT, unmerged, one article a call."""
    config = PeftConfig.from_pretrained(folder)
    if isinstance(model, StudentModel):
        config.task_type = None  # else PEFT would call it as one of transformers' classifiers
    return forward(PeftModel.from_pretrained(model, folder, config=config).eval())


def merged_scores(tiny: Tiny, folder: Path) -> np.ndarray:
    """The folder's scores by the worker's merge, one article a call."""
    model = tiny.student()
    adapter.merge(model, folder, parameters(folder))
    return forward(model)


def forward(model: Any) -> np.ndarray:
    torch.manual_seed(9)
    rows = []
    for length in LENGTHS:
        ids = torch.randint(3, VOCABULARY, (1, length))
        with torch.inference_mode():
            found = model(input_ids=ids, attention_mask=torch.ones_like(ids))
        rows.append(getattr(found, "logits", found)[0].numpy())
    return np.stack(rows)


def parameters(folder: Path) -> int:
    return sum(item.numel() for item in load_file(folder / adapter.ADAPTER).values())


def edit_config(folder: Path, changes: Settings) -> None:
    path = folder / adapter.ADAPTER_CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | dict(changes)))


def edit_tensors(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    path = folder / adapter.ADAPTER
    save_file(change(load_file(path)), path)
