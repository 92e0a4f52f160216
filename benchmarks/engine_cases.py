"""What the engine's benchmark scores, and with which student: a published shape with random
weights, or a student that ships.

It needs torch, transformers, peft and tokenizers, and of newsieve only what needs no more, so that
it runs on a machine that was lent with a card and nothing else.
"""

from __future__ import annotations

import copy
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import Qwen2Config, Qwen2Model

from newsieve.inference.base_files import find_base
from newsieve.inference.capacity import ModelShape
from newsieve.inference.model import StudentModel, load_backbone
from newsieve.inference.tokenize import Tokeniser

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "worker" / "newsieve" / "demo" / "articles.jsonl"
TOKENIZER = ROOT / "worker/newsieve/filters/builtin/uplifting/v4/student/tokenizer.json"
QWEN2_5_1_5B = {  # as published, but that its weights are random here
    "vocab_size": 151_936,
    "hidden_size": 1_536,
    "intermediate_size": 8_960,
    "num_hidden_layers": 28,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "max_position_embeddings": 131_072,
    "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0},
    "tie_word_embeddings": True,
    "use_sliding_window": False,
}
TINY = QWEN2_5_1_5B | {
    "vocab_size": 30_522,  # of the tokenizer that ships
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
SHAPES = {"qwen2.5-1.5b": QWEN2_5_1_5B, "tiny": TINY}
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
DIMENSIONS = 8
RANK = 16
MAX_TOKENS = 512
# The lengths of real articles in tokens, uncut: every fourth hundredth of 5,000, for a corpus of
# any mean with the spread of the real one.
LENGTH_QUANTILES = (
    21, 42, 47, 51, 57, 63, 72, 82, 92, 103, 116, 130, 155, 224, 249, 266, 281, 295, 309, 325, 340,
    362, 389, 441, 791, 7_617,
)  # fmt: skip


@dataclass(frozen=True)
class Models:
    """One student twice in fp32, with its adapter beside the base and merged into it."""

    unmerged: StudentModel
    merged: StudentModel

    def shape(self) -> ModelShape:
        """What decides the student's work for each token."""
        backbone: Any = self.merged.model
        embeddings = {id(module.weight) for module in backbone.modules()
                      if isinstance(module, nn.Embedding)}  # fmt: skip
        weights = [p.numel() for p in backbone.parameters() if id(p) not in embeddings]
        config = backbone.config
        return ModelShape(
            sum(weights),
            config.num_hidden_layers,
            config.hidden_size,
            is_causal=self.merged.pooling == "last",
        )


@dataclass(frozen=True)
class Corpus:
    """Texts, and the token ids that the student reads of each."""

    name: str
    texts: list[str]
    tokens: list[list[int]]
    tokeniser: Tokeniser
    tokenizer_file: Path

    @property
    def count(self) -> int:
        """How many tokens all texts have together."""
        return sum(map(len, self.tokens))

    @property
    def mean(self) -> float:
        """How many tokens a text has."""
        return self.count / len(self.tokens)


def random_models(shape: str, device: torch.device) -> Models:
    """Make a student of a published shape with random weights and a random adapter."""
    torch.manual_seed(0)
    config = Qwen2Config(**SHAPES[shape], attn_implementation="sdpa")
    with device:
        model = StudentModel(Qwen2Model(config), "last", DIMENSIONS, bias=False)
        lora = LoraConfig(
            r=RANK,
            lora_alpha=2 * RANK,
            target_modules=TARGETS,
            modules_to_save=["score"],
            init_lora_weights=False,
        )
        return _models(get_peft_model(model, lora))


def shipped_models(folder: Path) -> Models:
    """Open a student's folder by PEFT itself."""
    manifest = json.loads((folder / "student.json").read_text())
    base = manifest["base"]
    backbone = load_backbone(find_base(base["name"], base["revision"]))
    dimensions = len(manifest["dimensions"])
    model = StudentModel(backbone, manifest["pooling"], dimensions, bias=manifest["head_bias"])
    return _models(PeftModel.from_pretrained(model, str(folder)))


def _models(adapted: Any) -> Models:
    adapted.eval().requires_grad_(requires_grad=False)
    merged = copy.deepcopy(adapted).merge_and_unload()
    return Models(adapted.base_model.model, merged)


def articles_of(file: Path, most: int) -> list[str]:
    """Read the first texts of a file of articles, as the worker puts them together."""
    texts = []
    for line in file.read_bytes().splitlines():
        try:
            article = json.loads(line)
            texts.append(f"{article['title']}\n\n{article['content']}")
        except (ValueError, TypeError, KeyError):
            continue
    return texts[:most]


def real_corpus(file: Path, most: int, student: Path) -> Corpus:
    """Take real articles in the order of their file, as a student reads them."""
    manifest = json.loads((student / "student.json").read_text())
    return _corpus(
        file.name, articles_of(file, most), student / "tokenizer.json", manifest["max_tokens"]
    )


def _corpus(name: str, texts: list[str], tokenizer: Path, max_tokens: int) -> Corpus:
    tokeniser = Tokeniser(tokenizer, max_tokens)
    tokens = [item.ids for item in tokeniser.encode(texts)]
    return Corpus(name, texts, tokens, tokeniser, tokenizer)


def made_corpus(mean_tokens: int, count: int) -> Corpus:
    """Make texts of real words whose lengths spread as those of real articles do, cut at the
    student's window, with this mean."""
    tokeniser = Tokeniser(TOKENIZER, MAX_TOKENS)
    words = " ".join(articles_of(SAMPLE, 1_000)).split()
    costs = [len(item.ids) - 2 for item in tokeniser.encode(words)]
    draw = random.Random(mean_tokens)
    texts = []
    for length in _lengths(mean_tokens, count):
        start = draw.randrange(len(words))
        room, chosen = length - 2, []
        while room > 0:
            chosen.append(words[start % len(words)])
            room -= costs[start % len(words)]
            start += 1
        texts.append(" ".join(chosen))
    return _corpus("words in chance lengths", texts, TOKENIZER, MAX_TOKENS)


def _lengths(mean_tokens: int, count: int) -> list[int]:
    """Lengths whose mean is this once they are cut, in an order of chance."""
    points = np.linspace(0, len(LENGTH_QUANTILES) - 1, count)
    real = np.interp(points, range(len(LENGTH_QUANTILES)), LENGTH_QUANTILES)
    low, high = 0.0, float(MAX_TOKENS)
    for _ in range(60):
        factor = (low + high) / 2
        mean = np.clip(real * factor, 3, MAX_TOKENS).mean()
        low, high = (factor, high) if mean < mean_tokens else (low, factor)
    lengths = np.clip(real * high, 3, MAX_TOKENS).round().astype(int)
    np.random.default_rng(0).shuffle(lengths)
    return lengths.tolist()
