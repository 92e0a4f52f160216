"""Scores texts by a trained checkpoint, through the worker's own merge and forward pass: as the
worker will, not as the trainer did. Also embeds texts by the base before any training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from newsieve.filters.registry import Filter
from newsieve.inference import adapter
from newsieve.inference.base_files import find_base
from newsieve.inference.batching import OutOfMemory, buckets
from newsieve.inference.device import choose_device
from newsieve.inference.forward import Forward
from newsieve.inference.model import StudentModel, load_backbone
from newsieve.inference.padded_forward import PaddedForward
from newsieve.inference.scorer import Tokens
from newsieve.terminal import progress
from newsieve_training.errors import FitFailed
from newsieve_training.fit.base_model import tokeniser_of
from newsieve_training.pipeline.recipe import Recipe

BUDGET_TOKENS: Final = 2_048

Floats = npt.NDArray[np.float64]


def load_forward(
    recipe: Recipe, filter_: Filter, folder: Path, trainable_parameters: int
) -> PaddedForward:
    """Load the checkpoint in this folder, merged, in fp32."""
    base = recipe.base
    outputs = len(filter_.definition.dimensions)
    backbone = load_backbone(find_base(base.name, base.revision))
    model = StudentModel(backbone, base.pooling, outputs, bias=base.head_bias)
    adapter.merge(model, folder, trainable_parameters)
    return PaddedForward(model, choose_device("auto"), torch.float32)


def load_embedder(recipe: Recipe) -> PaddedForward:
    """Load the base alone, which gives its (N, H) pooled hidden states."""
    base = recipe.base
    backbone: Any = load_backbone(find_base(base.name, base.revision))
    width = int(backbone.config.hidden_size)
    model = StudentModel(backbone, base.pooling, width, bias=False)
    nn.init.eye_(model.score.weight)
    return PaddedForward(model, choose_device("auto"), torch.float32)


def tokens_of(recipe: Recipe, texts: Sequence[str]) -> list[Tokens]:
    return tokeniser_of(recipe.base, recipe.base.max_tokens).encode(texts)


def predict(forward: Forward, tokens: Sequence[Tokens], what: str) -> Floats:
    """Return (N, D) raw outputs, in order. `what` names the progress bar."""
    outputs: dict[int, Floats] = {}
    with progress(what, len(tokens)) as advance:
        lengths = [len(item.ids) for item in tokens]
        for bucket in buckets(lengths, BUDGET_TOKENS, is_padded=forward.is_padded):
            rows = _scores(forward, [tokens[index].ids for index in bucket])
            outputs.update(zip(bucket, rows, strict=True))
            advance(len(bucket))
    return np.array([outputs[index] for index in range(len(tokens))])


def _scores(forward: Forward, ids: Sequence[Sequence[int]]) -> Floats:
    """Score texts together, or in halves where memory runs out. Raises FitFailed."""
    try:
        return forward(ids)
    except OutOfMemory:
        if len(ids) == 1:
            raise FitFailed("memory ran out while one article was scored") from None
    half = len(ids) // 2  # outside the handler, which holds what the failed pass held
    return np.concatenate([_scores(forward, part) for part in (ids[:half], ids[half:])])
