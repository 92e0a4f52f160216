"""The choice between two attention kernels, with a switch and a stopwatch that a test makes."""

from __future__ import annotations

import pytest
import torch

from newsieve.inference.attention_kernel import KernelChoice
from newsieve.inference.packed_forward import Row, RowRunner

ROW = Row(*[torch.empty(0)] * 3)


class Scene:
    """A switch between kernels that take as long as a test says, or fail."""

    def __init__(self) -> None:
        self.is_cudnn = True
        self.times: dict[bool, float | None] = {True: 1.0, False: 1.0}
        self.choice = KernelChoice(self.switch, lambda: self.is_cudnn)

    def switch(self, is_cudnn: bool) -> None:  # noqa: FBT001 - as torch's own
        self.is_cudnn = is_cudnn

    def seconds(self, _: RowRunner, __: Row) -> float:
        took = self.times[self.is_cudnn]
        if took is None:
            raise RuntimeError("CUDNN_STATUS_NOT_SUPPORTED")
        return took

    def make(self, *, cudnn: float | None, flash: float | None) -> bool:
        """Choose, and return whether cuDNN's kernel is on."""
        self.times = {True: cudnn, False: flash}
        self.choice.make(lambda _: torch.empty(0), ROW, self.seconds)
        return self.is_cudnn


@pytest.mark.parametrize(
    ("cudnn", "flash", "chosen"),
    [(1.0, 2.0, True), (2.0, 1.0, False), (None, 1.0, False), (1.0, None, True)],
)
def test_the_faster_kernel_of_those_that_run_is_chosen(
    *, cudnn: float | None, flash: float | None, chosen: bool
) -> None:
    """One that fails costs nothing but the try."""
    assert Scene().make(cudnn=cudnn, flash=flash) is chosen


def test_the_choice_is_made_once() -> None:
    """A second student does not change the kernel that the first one was checked with."""
    scene = Scene()

    assert scene.make(cudnn=2.0, flash=1.0) is False
    assert scene.make(cudnn=1.0, flash=2.0) is False


def test_where_neither_kernel_runs_the_next_student_decides() -> None:
    """Until then, torch's own preference stays."""
    scene = Scene()

    assert scene.make(cudnn=None, flash=None) is True
    assert scene.make(cudnn=2.0, flash=1.0) is False
