"""Counts what a model's forward pass costs, from its configuration: the bound that no device
beats.

No weights are made: torch follows the shapes alone.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModel

PRODUCTS: Final = ("aten.mm", "aten.addmm")  # of weights; attention multiplies in batches


class Flops(NamedTuple):
    """The floating-point operations of one token; a multiplication and an addition are two."""

    products: float  # with the weights: what an article of any length costs
    attention: float  # with the article's other tokens: all pairs, though half are enough if causal


def flops_per_token(config: Any, article_tokens: int = 512) -> Flops:
    """Count the operations for each token of articles of this length.

    `config` is transformers' configuration of the base model. The bound of a device in articles
    per second is its rate of operations, by these and by the tokens of an article.
    """
    with torch.device("meta"), torch.inference_mode():
        model = AutoModel.from_config(config, attn_implementation="sdpa").eval()
        with FlopCounterMode(display=False) as counter:
            model(input_ids=torch.empty((1, article_tokens), dtype=torch.int64))
    counts = {str(name): count for name, count in counter.get_flop_counts()["Global"].items()}
    products = sum(count for name, count in counts.items() if name in PRODUCTS)
    total = sum(counts.values())
    return Flops(products / article_tokens, (total - products) / article_tokens)
