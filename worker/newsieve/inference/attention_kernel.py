"""Chooses the attention kernel of packed rows: cuDNN's or FlashAttention, whichever is faster.

torch prefers cuDNN's by itself; on some cards and releases FlashAttention is faster, by several
times. It knows nothing of scores: whether the kernel is exact is checked afterwards.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from newsieve.inference.packed_forward import Row, RowRunner


class KernelChoice:
    """The choice between the kernels, which is made once.

    torch's switch is one for the whole process. A second student's choice would change the kernel
    that the first one was checked with, and what its compiled code calls.
    """

    def __init__(
        self,
        enable_cudnn: Callable[[bool], None] = torch.backends.cuda.enable_cudnn_sdp,
        is_cudnn_enabled: Callable[[], bool] = torch.backends.cuda.cudnn_sdp_enabled,
    ) -> None:
        """Both parameters read and set torch's switch, unless a test says otherwise."""
        self._enable_cudnn = enable_cudnn
        self._is_cudnn_enabled = is_cudnn_enabled
        self._is_made = False

    def make(self, runner: RowRunner, row: Row, seconds: Callable[[RowRunner, Row], float]) -> None:
        """Choose the faster kernel for such a row, unless the choice was made before.

        Where neither runs, torch's own preference stays, and the next student decides.
        """
        if self._is_made:
            return
        preferred = self._is_cudnn_enabled()
        times = {}
        for is_cudnn in (False, True):
            self._enable_cudnn(is_cudnn)
            try:
                times[is_cudnn] = seconds(runner, row)
            except Exception:  # noqa: BLE001 - a kernel that fails is not chosen
                times[is_cudnn] = float("inf")
        self._is_made = min(times.values()) < float("inf")
        self._enable_cudnn(times[True] < times[False] if self._is_made else preferred)


KERNEL_CHOICE = KernelChoice()
