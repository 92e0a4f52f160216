"""Checks on the real model, once, that articles in a packed row score as they do alone.

A model that looks beyond its own article, or that counts its positions in another way, runs without
complaint; only its scores betray it. So a few articles of random ids are scored in both ways.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import numpy as np
import torch

from newsieve.inference.forward import Batch, Scores
from newsieve.inference.packed_attention import NotPackable
from newsieve.inference.packed_forward import PackedForward

# In score points. The same numbers are summed in another order: fp32 hardly shows it, bf16 rounds
# scores by up to 0.2 on news and by more on random words. What is wrong is wrong by points.
TOLERANCE: Final = {torch.float32: 1e-3, torch.bfloat16: 0.5}
# What the neighbours say changes nothing at all, but for the order of a sum.
TOLERANCE_OF_NEIGHBOURS: Final = {torch.float32: 1e-4, torch.bfloat16: 0.02}
SHORT_LENGTHS: Final = (1, 2, 7)


def require_exact(forward: PackedForward, dtype: torch.dtype, device: torch.device) -> None:
    """Require that the packed row gives the scores that articles have alone, whatever their
    neighbours say. Raises NotPackable, and leaves the model its own attention."""
    try:
        _compare(forward, dtype, device)
    except Exception as error:
        with suppress(NotPackable):
            forward.use_own_attention()
        if isinstance(error, NotPackable):
            raise
        raise NotPackable(f"a packed row fails: {type(error).__name__}: {error}") from error


def vocabulary_of(forward: PackedForward) -> int:
    """How many token ids the model knows."""
    backbone: Any = forward.model.model
    return len(backbone.get_input_embeddings().weight)


def _compare(forward: PackedForward, dtype: torch.dtype, device: torch.device) -> None:
    batch = _articles(forward.longest, vocabulary_of(forward))
    forward.use_own_attention()
    alone = _scores_alone(forward, batch, device)
    forward.use_packed_attention()
    packed = forward(batch)
    _require_near(packed, alone, TOLERANCE[dtype], "packed articles score otherwise than alone")
    for kept in (0, 1):
        others = [
            article if row % 2 == kept else [0] * len(article) for row, article in enumerate(batch)
        ]
        _require_near(
            forward(others)[kept::2],
            packed[kept::2],
            TOLERANCE_OF_NEIGHBOURS[dtype],
            "an article's scores depend on its neighbours in a packed row",
        )


def _articles(longest: int, vocabulary: int) -> list[list[int]]:
    """Articles of random ids: short ones, one as long as any, and short ones again."""
    generator = np.random.default_rng(0)
    short = [min(length, longest) for length in SHORT_LENGTHS]
    lengths = [*short, longest, *short[::-1]]
    return [generator.integers(vocabulary, size=length).tolist() for length in lengths]


def _scores_alone(forward: PackedForward, batch: Batch, device: torch.device) -> Scores:
    """The scores of articles in passes of their own, without packing or padding."""
    rows = []
    with torch.inference_mode():
        for article in batch:
            ids = torch.tensor([list(article)], device=device)
            rows.append(forward.model(ids, torch.ones_like(ids))[0].double().cpu().numpy())
    return np.stack(rows)


def _require_near(scores: Scores, expected: Scores, tolerance: float, complaint: str) -> None:
    error = float(np.abs(scores - expected).max())
    if not error <= tolerance:  # also when it is not a number
        raise NotPackable(f"{complaint}: by {error:.4f}, where {tolerance} is allowed")
