"""Small random models of many architectures, each with an adapter: unmerged, as PEFT computes it,
and merged, as the engine takes it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModel,
    BertConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    LlamaConfig,
    MistralConfig,
    ModernBertConfig,
    Qwen2Config,
    Qwen3Config,
    RobertaConfig,
    XLMRobertaConfig,
)

from newsieve.inference.model import StudentModel
from newsieve.inference.tokenize import Tokeniser
from tests.support.tiny_student import VOCABULARY, _tokenizer

LONGEST: Final = 512
DIMENSIONS: Final = 8
WINDOW: Final = 16  # of those that slide
SLIDING_LAYERS: Final = ["sliding_attention", "full_attention"]

_ANY: Final[dict[str, Any]] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": LONGEST + 2,  # RoBERTa counts from 2 on
    "initializer_range": 0.3,
}
_DECODER: Final[dict[str, Any]] = {**_ANY, "num_key_value_heads": 2, "pad_token_id": 0}
_GEMMA: Final[dict[str, Any]] = {**_DECODER, "head_dim": 8}
_GEMMA2: Final[dict[str, Any]] = {
    **_GEMMA,
    "query_pre_attn_scalar": 8,
    "sliding_window": WINDOW,
    "layer_types": SLIDING_LAYERS,
}

DECODERS: Final[dict[str, Callable[[], Any]]] = {
    "qwen2": lambda: Qwen2Config(**_DECODER),
    "qwen2, sliding": lambda: Qwen2Config(
        **_DECODER, use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1
    ),
    "qwen3": lambda: Qwen3Config(**_GEMMA),
    "llama": lambda: LlamaConfig(**_DECODER),
    "gemma": lambda: GemmaConfig(**_GEMMA),
    "gemma2, uncapped": lambda: Gemma2Config(**_GEMMA2, attn_logit_softcapping=None),
    "gemma3": lambda: Gemma3TextConfig(**_GEMMA2),
    "mistral, sliding": lambda: MistralConfig(**_DECODER, sliding_window=WINDOW),
}
ENCODERS: Final[dict[str, Callable[[], Any]]] = {
    "bert": lambda: BertConfig(**_ANY),
    "roberta": lambda: RobertaConfig(**_ANY, pad_token_id=1),
    "xlm-roberta": lambda: XLMRobertaConfig(**_ANY, pad_token_id=1),
    "modernbert": lambda: ModernBertConfig(
        **_ANY,
        local_attention=WINDOW,
        global_attn_every_n_layers=2,
        pad_token_id=0,
        bos_token_id=1,
        cls_token_id=1,
        eos_token_id=2,
        sep_token_id=2,
    ),
    "gemma3, both ways": lambda: Gemma3TextConfig(**_GEMMA2, use_bidirectional_attention=True),
}
CAPPED: Final = Gemma2Config(**_GEMMA2)


class TinyModel(NamedTuple):
    """One student twice."""

    unmerged: Any
    merged: StudentModel

    def reference(self, batch: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
        """Score one article per call, by PEFT."""
        with torch.inference_mode():
            rows = [
                self.unmerged(
                    torch.tensor([list(ids)]), torch.ones((1, len(ids)), dtype=torch.int64)
                )
                for ids in batch
            ]
        return torch.cat(rows).double().numpy()


def tiny_model(name: str) -> TinyModel:
    """Make a model of one of the architectures above."""
    torch.manual_seed(0)
    is_decoder = name in DECODERS
    config = (DECODERS if is_decoder else ENCODERS)[name]()
    model = plain_model(config, "last" if is_decoder else "mean")
    targets = [
        part for part, layer in model.model.named_modules() if isinstance(layer, torch.nn.Linear)
    ]
    lora = LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules=[f"model.{part}" for part in targets],
        modules_to_save=["score"],
    )
    adapted = get_peft_model(model, lora)
    for part, parameter in adapted.named_parameters():
        if "lora_B" in part:  # PEFT starts it at zero
            torch.nn.init.normal_(parameter, std=0.1)
    merged = copy.deepcopy(adapted).merge_and_unload()
    return TinyModel(adapted.eval(), merged.eval())


def plain_model(config: Any, pooling: Any = "last") -> StudentModel:
    """Make a model of a configuration, without an adapter."""
    backbone = AutoModel.from_config(config)
    model = StudentModel(backbone, pooling, DIMENSIONS, bias=False)
    torch.nn.init.normal_(model.score.weight, std=1.0)
    return model.eval()


def tiny_tokeniser(folder: Path) -> Tokeniser:
    """Make a byte-level tokenizer of windows of 512 tokens, without tokens of its own around."""
    _tokenizer("qwen2").save(str(folder / "tokenizer.json"))
    return Tokeniser(folder / "tokenizer.json", LONGEST)
