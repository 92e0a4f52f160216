"""Students with random weights and a true architecture, small enough to score 1,000 texts a second.

The engine that loads them is the product's own; only the weights mean nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, Qwen2Config, Qwen2Model

from newsieve.filters.registry import Filter
from newsieve.inference.base_files import base_hashes
from newsieve.inference.manifest import Manifest, PinnedBase
from newsieve.inference.model import StudentModel
from newsieve.inference.padded_forward import PaddedForward
from newsieve.inference.tokenize import Tokeniser

Kind = Literal["bert", "qwen2"]

HIDDEN = 32
MAX_TOKENS = 64
VOCABULARY = 600
CANARY_TEXTS = ("The village opened a library.", "Shares fell.")
WORDS = (
    "the a village town river bridge library school nurse farmer court market share price army "
    "peace solar wind battery forest ocean vaccine music story people build open share plant heal "
    "repair teach win lose rise fall grow ask say find help and of in to with for on"
)


def make_student(
    folder: Path, filter_: Filter, kind: Kind = "bert", *, seed: int = 0, base: Path | None = None
) -> Path:
    """Write `folder/student` (and its base model, unless one is given); return the student."""
    base = base or make_base(folder / "base", kind, seed=seed)
    student = folder / "student"
    outputs = len(filter_.definition.dimensions)
    backbone = _load(base, kind)
    bias = kind == "bert"
    model = StudentModel(backbone, "mean" if bias else "last", outputs, bias=bias)
    torch.manual_seed(seed + 1)
    torch.nn.init.normal_(model.score.weight, std=2.0)
    if bias:
        torch.nn.init.constant_(model.score.bias, 5.0)
    targets = ["query", "key", "value"] if bias else ["q_proj", "k_proj", "v_proj", "o_proj"]
    config = LoraConfig(r=4, lora_alpha=8, target_modules=targets, modules_to_save=["score"])
    adapted: Any = get_peft_model(model, config)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:  # PEFT starts it at zero, which would make merging a no-op
            torch.nn.init.normal_(parameter, std=0.3)
    trainable = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    config.task_type = "SEQ_CLS"
    config.base_model_name_or_path = None
    adapted.save_pretrained(student)
    (student / "README.md").unlink(missing_ok=True)
    (student / "tokenizer.json").write_bytes((base / "tokenizer.json").read_bytes())
    manifest = Manifest(
        format=1,
        filter=filter_.name,
        filter_version=filter_.definition.version,
        label_hash=filter_.label_hash,
        dimensions=list(filter_.definition.dimension_names),
        base=PinnedBase(name=str(base), revision="main", files=base_hashes(base)),
        pooling="mean" if bias else "last",
        head_bias=bias,
        max_tokens=MAX_TOKENS,
        trainable_parameters=trainable,
        training={},
        data={},
        seeds=[seed],
        versions={},
        metrics={},
    )
    (student / "student.json").write_text(manifest.model_dump_json(indent=2))
    _write_canaries(student, adapted.merge_and_unload(), manifest)
    return student


def make_base(folder: Path, kind: Kind, *, seed: int = 0) -> Path:
    """A base model folder: config, random weights, tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    if kind == "bert":
        model: Any = BertModel(
            BertConfig(
                vocab_size=VOCABULARY,
                hidden_size=HIDDEN,
                num_hidden_layers=2,
                num_attention_heads=4,
                intermediate_size=64,
                max_position_embeddings=MAX_TOKENS,
                initializer_range=0.3,
            )
        )
    else:
        model = Qwen2Model(
            Qwen2Config(
                vocab_size=VOCABULARY,
                hidden_size=HIDDEN,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                intermediate_size=64,
                max_position_embeddings=512,
                initializer_range=0.3,
                pad_token_id=0,
            )
        )
    model.save_pretrained(folder)
    _tokenizer(kind).save(str(folder / "tokenizer.json"))
    return folder


def _load(base: Path, kind: Kind) -> Any:
    return (BertModel if kind == "bert" else Qwen2Model).from_pretrained(base, dtype=torch.float32)


def _tokenizer(kind: Kind) -> Tokenizer:
    """Byte-level BPE, as Qwen2's; with [CLS] and [SEP] around a text, as BERT's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["[PAD]", "[CLS]", "[SEP]"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([WORDS] * 50, trainer)
    if kind == "bert":
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
    return tokenizer


def _write_canaries(student: Path, merged: StudentModel, manifest: Manifest) -> None:
    tokens = Tokeniser(student / "tokenizer.json", MAX_TOKENS).encode(CANARY_TEXTS)
    forward = PaddedForward(merged, torch.device("cpu"), torch.float32)
    lines = []
    for index, (text, row) in enumerate(zip(CANARY_TEXTS, tokens, strict=True)):
        scores = dict(zip(manifest.dimensions, forward([row.ids])[0].tolist(), strict=True))
        lines.append(json.dumps({"id": f"canary-{index}", "text": text, "scores": scores}))
    (student / "canaries.jsonl").write_text("\n".join(lines) + "\n")
