"""Linear layers for a CPU: their weights are put once into the layout in which oneDNN, torch's
library of kernels for CPUs, multiplies them; `nn.Linear` does so at every call.

It replaces layers by their type, whatever model they are in, and knows nothing of models.
"""

from __future__ import annotations

import platform
from typing import Final

import torch
from torch import Tensor, nn

MEASURED_ON: Final = ("x86_64", "AMD64")  # elsewhere nobody has shown that it pays


class PackedLinear(nn.Module):
    """Computes what an `nn.Linear` computes, from a weight in oneDNN's layout."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features = linear.in_features
        self.out_features = linear.out_features
        reorder = torch.ops.mkldnn._reorder_linear_weight  # noqa: SLF001 - what torch.compile calls
        packed = reorder(linear.weight.detach())
        self.weight = nn.Parameter(packed, requires_grad=False)
        self.bias = linear.bias

    def forward(self, rows: Tensor) -> Tensor:
        """Map (..., in) rows to (..., out) rows."""
        result: Tensor = torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001 - likewise
            rows, self.weight, self.bias, "none", [], ""
        )
        return result

    def unpacked(self) -> nn.Linear:
        """The plain layer of the same weights."""
        linear = nn.Linear(
            self.in_features, self.out_features, bias=self.bias is not None, device="meta"
        )
        linear.weight = nn.Parameter(self.weight.to_dense(), requires_grad=False)
        linear.bias = self.bias
        return linear


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this machine and this torch multiply packed weights of a precision."""
    has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if platform.machine() not in MEASURED_ON or not has_onednn:
        return False
    if not hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        return False
    has_bf16: bool = torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001 - likewise
    return dtype == torch.float32 or has_bf16


def pack_linears(model: nn.Module) -> None:
    """Replace every plain `nn.Linear` inside a model. No weight is in memory twice afterwards.

    Subclasses stay as they are: their owners use their weights by other ways than calling them.
    """
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear:
                setattr(module, name, PackedLinear(child))


def unpack_linears(model: nn.Module) -> None:
    """Replace every packed layer inside a model by the plain one of the same weights."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, PackedLinear):
                setattr(module, name, child.unpacked())
