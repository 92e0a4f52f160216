"""Attention within each article of a row, against attention with a mask over the whole row."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from newsieve.inference.packed_attention import NotPackable, packed_attention

LONGEST = 12


class Layer(nn.Module):
    """What transformers passes as the layer that attends."""

    def __init__(self, *, is_causal: bool) -> None:
        super().__init__()
        self.is_causal = is_causal


def mask_of(lengths: list[int], window: int | None, *, is_causal: bool) -> Tensor:
    """Which places see which, written down place by place."""
    articles = [index for index, length in enumerate(lengths) for _ in range(length)]
    return torch.tensor(
        [
            [
                mine == theirs
                and (key <= query or not is_causal)
                and (window is None or abs(query - key) < window)
                for key, theirs in enumerate(articles)
            ]
            for query, mine in enumerate(articles)
        ]
    )


def attend(lengths: list[int], layer: Layer, rows: list[Tensor], **extra: Any) -> Tensor:
    offsets = torch.tensor([0, *lengths], dtype=torch.int32).cumsum(0).int()
    attended, weights = packed_attention(
        layer, *rows, None, 0.3, packed_offsets=offsets, packed_longest=LONGEST, **extra
    )
    assert weights is None
    return attended


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(0, LONGEST), min_size=1, max_size=5).filter(any),
    window=st.none() | st.integers(1, LONGEST + 2),
    is_causal=st.booleans(),
    keys=st.sampled_from([1, 2, 4]),
)
def test_it_is_attention_under_a_mask(
    *, lengths: list[int], window: int | None, is_causal: bool, keys: int
) -> None:
    """Of articles of any length, none included, in windows and groups of heads."""
    generator = torch.Generator().manual_seed(0)
    rows = [
        torch.randn(1, heads, sum(lengths), 8, generator=generator) for heads in (4, keys, keys)
    ]
    mask = mask_of(lengths, window, is_causal=is_causal)
    expected = scaled_dot_product_attention(*rows, mask, scale=0.3, enable_gqa=True)

    attended = attend(lengths, Layer(is_causal=is_causal), rows, sliding_window=window)

    assert attended.shape == (1, sum(lengths), 4, 8)
    assert torch.allclose(attended.transpose(1, 2), expected, atol=1e-5)


def test_what_the_model_says_goes_before_what_the_layer_says() -> None:
    """Some models decide from call to call which way a layer looks."""
    rows = [torch.randn(1, 1, 4, 8) for _ in range(3)]

    causal = attend([4], Layer(is_causal=True), rows)

    assert torch.equal(attend([4], Layer(is_causal=False), rows, is_causal=True), causal)
    assert not torch.equal(attend([4], Layer(is_causal=False), rows), causal)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"softcap": 50.0}, "softcap"),
        ({"s_aux": torch.zeros(1)}, "s_aux"),
        ({"position_bias": torch.zeros(1)}, "position_bias"),
        ({"output_attentions": True}, "output_attentions"),
        ({"dropout": 0.1}, "dropout"),
    ],
)
def test_what_it_does_not_compute_is_refused_by_name(asked: dict[str, Any], reason: str) -> None:
    """Soft caps, sinks, biases: a model that needs them is padded."""
    rows = [torch.randn(1, 1, 4, 8) for _ in range(3)]

    with pytest.raises(NotPackable, match=reason):
        attend([4], Layer(is_causal=True), rows, **asked)


def test_a_mask_is_refused() -> None:
    """It would be of the whole row."""
    rows = [torch.randn(1, 1, 4, 8) for _ in range(3)]
    offsets = torch.tensor([0, 4], dtype=torch.int32)

    with pytest.raises(NotPackable, match="mask"):
        packed_attention(
            Layer(is_causal=True), *rows, torch.ones(4, 4),
            packed_offsets=offsets, packed_longest=LONGEST,
        )  # fmt: skip


def test_what_changes_nothing_is_let_through() -> None:
    """Models pass on what they were called with, and what they do not use."""
    rows = [torch.randn(1, 1, 4, 8) for _ in range(3)]
    extra = {"position_ids": torch.zeros(1), "use_cache": False, "softcap": None, "dropout": 0.0}

    assert torch.equal(
        attend([4], Layer(is_causal=True), rows, **extra),
        attend([4], Layer(is_causal=True), rows),
    )
