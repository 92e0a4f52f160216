"""Writes a shipped student for peers that know no adapters: its merged backbone in fp32 as
transformers keeps one, its head, and articles as its token ids."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from newsieve.inference import adapter
from newsieve.inference.base_files import find_base
from newsieve.inference.manifest import TOKENIZER, read_manifest
from newsieve.inference.model import StudentModel, load_backbone
from newsieve.inference.tokenize import Tokeniser
from tests.support.filters import load


def load_merged(name: str) -> StudentModel:
    """Load the student that the package ships for a filter, in fp32."""
    folder = load(name).student_folder
    manifest = read_manifest(folder)
    base = find_base(manifest.base.name, manifest.base.revision)
    model = StudentModel(
        load_backbone(base), manifest.pooling, len(manifest.dimensions), bias=manifest.head_bias
    )
    adapter.merge(model, folder, manifest.trainable_parameters)
    return model.eval()


def token_ids(name: str, texts: Sequence[str]) -> list[list[int]]:
    """Read texts as a filter's student does."""
    folder = load(name).student_folder
    tokeniser = Tokeniser(folder / TOKENIZER, read_manifest(folder).max_tokens)
    return [tokens.ids for tokens in tokeniser.encode(texts)]


def write(folder: Path, name: str, texts: Sequence[str]) -> None:
    """Write the student and the texts into a folder."""
    model = load_merged(name)
    backbone: Any = model.model
    backbone.save_pretrained(folder)
    save_file(dict(model.score.state_dict()), folder / "head.safetensors")
    (folder / "tokens.json").write_text(json.dumps(token_ids(name, texts)))
