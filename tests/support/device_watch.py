"""Shows whether code would make the host wait for a GPU, on a machine without one."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# What makes the host wait for the device, whatever it is called in Python.
WAITS = {"_local_scalar_dense", "nonzero", "is_nonzero", "item", "equal", "masked_select"}


class Watching(TorchDispatchMode):
    """Refuses whatever makes the host wait for the device; notes what is copied, and what memory is
    page-locked."""

    def __init__(self) -> None:
        super().__init__()
        self.copied: list[tuple[str, torch.dtype, tuple[int, ...]]] = []
        self.page_locked = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.namespace != "prim":
            with self:  # an operation that consists of others is looked at piece by piece
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        name = func.__name__.split(".")[0]
        if name in WAITS or (name == "index" and _has_mask(args[1])):
            raise AssertionError(f"{name} waits for the device")
        result = func(*args, **kwargs)
        self.page_locked += name == "empty" and bool(kwargs.get("pin_memory"))
        if name == "_to_copy":
            self._note(args[0], result, is_waiting=not kwargs.get("non_blocking"))
        elif name == "copy_":
            self._note(args[1], args[0], is_waiting=args[2:] != (True,))
        return result

    def _note(self, source: torch.Tensor, target: torch.Tensor, *, is_waiting: bool) -> None:
        if source.device.type != target.device.type:
            if is_waiting:
                raise AssertionError(f"a copy to {target.device} waits for the device")
            self.copied.append((target.device.type, target.dtype, tuple(target.shape)))


def _has_mask(indices: list[torch.Tensor | None]) -> bool:
    """Whether a tensor's truths choose places, whose number the host must learn."""
    return any(index is not None and index.dtype == torch.bool for index in indices)


class Stream:
    """The device's stream, and its events, which nobody may wait for."""

    def record_event(self) -> Stream:
        return self

    def synchronize(self) -> None:
        raise AssertionError("waited for the device")
