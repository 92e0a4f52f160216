"""The attention of a packed row: many articles stand behind each other, and none sees another.

transformers hands every layer's query, key and value to a function that is registered by name; this
is one. On a GPU it calls torch's kernel for rows of variable length, on a CPU torch's ordinary
attention, article by article. It knows nothing of models: what a model asks of its attention beyond
what this computes exactly is refused by name.
"""

from __future__ import annotations

import inspect
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

try:
    from torch.nn.attention import varlen
except ImportError:  # torch is older than the kernel; `choose_forward` packs nothing then
    varlen_attn: Any = None
else:
    varlen_attn = varlen.varlen_attn

NAME: Final = "newsieve_packed"
# What models pass along that changes nothing here.
HARMLESS: Final = frozenset({"cache_position", "position_ids", "return_dict", "use_cache"})
# torch's first releases of the kernel take neither `scale` nor `enable_gqa`.
KERNEL_PARAMETERS = (
    frozenset(inspect.signature(varlen_attn).parameters) if varlen_attn else frozenset[str]()
)


class NotPackable(Exception):
    """A model asks for something that a packed row cannot give it exactly."""


def register() -> None:
    """Make the attention known to transformers by its name.

    No mask is registered on purpose: transformers makes none for an attention that it knows no
    mask of. With one it would look for packed articles itself, and wait for the device to see them.
    """
    AttentionInterface.register(NAME, packed_attention)


def packed_attention(  # noqa: PLR0913 - what transformers passes
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    *,
    packed_offsets: Tensor,
    packed_longest: int,
    sliding_window: int | None = None,
    is_causal: bool | None = None,
    dropout: float = 0.0,
    **others: Any,
) -> tuple[Tensor, None]:
    """Map (1, heads, T, size) queries, keys and values to (1, T, heads, size).

    Article i takes the places from `packed_offsets[i]` to `packed_offsets[i + 1]`, and none has
    more than `packed_longest` tokens. Raises NotPackable.
    """
    if attention_mask is not None:
        raise NotPackable("it makes an attention mask of its own")
    if dropout:
        raise NotPackable("it has dropout")
    for name, asked in others.items():
        if name not in HARMLESS and asked is not None and asked is not False:
            raise NotPackable(f"its attention asks for {name}")
    causal = module.is_causal if is_causal is None else is_causal
    window = _window(sliding_window, packed_longest, causal=bool(causal))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    # (T, heads, size), token after token in memory, as kernels may take for granted
    q, k, v = (tensor[0].transpose(0, 1).contiguous() for tensor in (query, key, value))
    if query.device.type == "cpu":
        attended = _by_article(q, k, v, packed_offsets, scale, window)
    else:
        attended = _by_kernel(q, k, v, packed_offsets, packed_longest, scale, window)
    return attended.unsqueeze(0), None


def _window(sliding_window: int | None, longest: int, *, causal: bool) -> tuple[int, int]:
    """How many tokens before and behind it a token sees besides itself; -1 means all of them."""
    if sliding_window is None or sliding_window >= longest:
        return (-1, 0) if causal else (-1, -1)
    return (sliding_window - 1, 0 if causal else sliding_window - 1)


def _by_kernel(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    offsets: Tensor,
    longest: int,
    scale: float,
    window: tuple[int, int],
) -> Tensor:
    extra: dict[str, Any] = {}
    if "scale" in KERNEL_PARAMETERS:
        extra["scale"] = scale
    else:
        query = query * (scale * query.shape[-1] ** 0.5)  # the kernel's own scale is size ** -0.5
    if "enable_gqa" in KERNEL_PARAMETERS:
        extra["enable_gqa"] = query.shape[1] != key.shape[1]
    else:
        groups = query.shape[1] // key.shape[1]
        key, value = (part.repeat_interleave(groups, dim=1) for part in (key, value))
    # cuDNN computes a causal row only when both offsets are the same tensor.
    attended: Tensor = varlen_attn(
        query, key, value, offsets, offsets, longest, longest, window_size=window, **extra
    )
    return attended


def _by_article(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    offsets: Tensor,
    scale: float,
    window: tuple[int, int],
) -> Tensor:
    lengths = offsets.diff().tolist()
    attended = []
    for parts in zip(*(torch.split(part, lengths) for part in (query, key, value)), strict=True):
        q, k, v = (part.transpose(0, 1).unsqueeze(0) for part in parts)  # (1, heads, tokens, size)
        if q.shape[2]:
            mask = _visible(q.shape[2], window, q.device)
            causal, groups = window == (-1, 0), q.shape[1] != k.shape[1]
            article = scaled_dot_product_attention(
                q, k, v, mask, is_causal=causal, scale=scale, enable_gqa=groups
            )
            attended.append(article[0].transpose(0, 1))
    return torch.cat(attended)


def _visible(length: int, window: tuple[int, int], device: torch.device) -> Tensor | None:
    """Which (query, key) pairs a window lets through, or None where plain attention does it."""
    if window in {(-1, 0), (-1, -1)}:
        return None
    before, behind = window
    places = torch.arange(length, device=device)
    distance = places.unsqueeze(0) - places.unsqueeze(1)  # of the key behind the query
    return (distance >= -before) & (distance <= behind)
