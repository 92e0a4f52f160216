"""Puts a merged model where it computes, and lets models over one base share memory there.

It knows nothing of batches.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from newsieve.inference.model import StudentModel


def place(model: StudentModel, device: torch.device, dtype: torch.dtype) -> None:
    """Make a merged fp32 model ready to score: the backbone goes to `dtype`, the head stays
    fp32."""
    model.eval().requires_grad_(requires_grad=False)
    model.model.to(device=device, dtype=dtype)
    model.score.to(device=device)


def share_parameters(model: nn.Module, others: Iterable[nn.Module]) -> None:
    """Let `model` use the tensors of any of the others wherever both hold the same numbers.

    Two students over one base then hold its embeddings once, and all else that their adapters left
    alone. Do it before anything is compiled or captured: that remembers where tensors lie.
    """
    for other in others:
        theirs = dict(other.named_parameters())
        for name, parameter in model.named_parameters():
            twin = theirs.get(name)
            if twin is not None and _is_copy(parameter, twin):
                parameter.data = twin.data


def _is_copy(parameter: nn.Parameter, twin: nn.Parameter) -> bool:
    """Whether two tensors hold the same numbers in two places. Packed weights are not looked
    into."""
    return (
        parameter.layout == twin.layout == torch.strided
        and parameter.data_ptr() != twin.data_ptr()
        and (parameter.shape, parameter.dtype, parameter.device)
        == (twin.shape, twin.dtype, twin.device)
        and torch.equal(parameter, twin)
    )
