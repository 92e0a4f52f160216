"""Scores of a trained checkpoint, by the engine's own merge and forward pass: what the worker
will publish, not what the trainer saw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from training.fit import tokeniser_of
from training.recipe import Recipe
from training.run import Row
from worker.engine import adapter
from worker.engine.batching import buckets
from worker.engine.model import StudentModel, load_backbone
from worker.engine.reference import ReferenceForward
from worker.rules.catalogue import load
from worker.rules.tiers import round_scores

BUDGET_TOKENS: Final = 2_048

Floats = npt.NDArray[np.float64]


def load_forward(recipe: Recipe, folder: Path, trainable_parameters: int) -> ReferenceForward:
    """The checkpoint in this folder, merged, in fp32."""
    base = recipe.base
    outputs = len(load(recipe.filter).definition.dimensions)
    backbone = load_backbone(base.name, base.revision)
    model = StudentModel(backbone, base.pooling, outputs, bias=base.head_bias)
    adapter.merge(model, folder, trainable_parameters)
    return ReferenceForward(model, torch.device("cpu"), torch.float32)


def predict(recipe: Recipe, forward: ReferenceForward, rows: Sequence[Row]) -> Floats:
    """(N, D) scores, clamped and rounded as they are published."""
    tokens = tokeniser_of(recipe).encode([row["text"] for row in rows])
    scores = np.empty((len(rows), len(load(recipe.filter).definition.dimensions)))
    for bucket in buckets([len(item.ids) for item in tokens], BUDGET_TOKENS):
        scores[bucket] = forward([tokens[index].ids for index in bucket])
    return round_scores(scores)
