"""The bound of a model, counted from its configuration."""

from __future__ import annotations

import pytest
from transformers import BertConfig, Qwen2Config

from newsieve.inference.flop_count import flops_per_token


def test_the_bound_of_a_model_is_counted_from_its_configuration() -> None:
    """2.62 GFLOP a token for Qwen2.5-1.5B: two for each of 1.31 billion weights."""
    config = Qwen2Config(
        hidden_size=1536,
        num_hidden_layers=28,
        num_attention_heads=12,
        num_key_value_heads=2,
        intermediate_size=8960,
        vocab_size=151_936,
        tie_word_embeddings=True,
    )

    flops = flops_per_token(config, 350)

    assert flops.products == pytest.approx(2.62e9, rel=0.001)
    assert flops.attention == pytest.approx(28 * 4 * 350 * 1536, rel=0.001)


def test_an_encoder_is_counted_alike() -> None:
    """BERT's base: two operations for each of 85 million weights of its layers."""
    flops = flops_per_token(BertConfig(), 512)

    assert flops.products == pytest.approx(12 * 12 * 768**2 * 2, rel=0.001)
    assert flops.attention == pytest.approx(12 * 4 * 512 * 768, rel=0.001)
