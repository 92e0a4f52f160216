"""Which forward pass a model gets, and how a GPU's is made ready: by fakes of the GPU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from newsieve.inference import (
    execution_choice,
    forward_choice,
    gpu_forward,
    packed_attention,
)
from newsieve.inference.attention_kernel import KernelChoice
from newsieve.inference.batching import OutOfMemory
from newsieve.inference.execution_choice import ExecutionMode
from newsieve.inference.forward_choice import choose_forward
from newsieve.inference.gpu_forward import BUDGETS, choose_budget, largest_budget
from newsieve.inference.packed_attention import NotPackable
from newsieve.inference.packed_forward import PackedForward
from tests.support.tiny_models import CAPPED, LONGEST, plain_model, tiny_model

CPU, GPU = torch.device("cpu"), torch.device("cuda")
GIB = 1024**3


class Gpu:
    """The CPU in the place of a GPU, with as much memory as a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.budget: int | Exception = 2_112
        self.wanted: int | None = None
        self.is_cudnn = True
        self.seconds = {True: 2.0, False: 1.0}  # of cuDNN's kernel and of the other
        self.timed: list[tuple[bool, int]] = []  # which kernel, and how many tokens
        self.warnings: list[str] = []
        monkeypatch.setattr(execution_choice, "COMPARED_TOKENS", 2_112)
        monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
        monkeypatch.setattr(gpu_forward, "choose_budget", self.choose_budget)
        monkeypatch.setattr(gpu_forward, "seconds_on", lambda _: self.time)
        kernels = KernelChoice(self.switch, lambda: self.is_cudnn)
        monkeypatch.setattr(gpu_forward, "KERNEL_CHOICE", kernels)
        monkeypatch.setattr(gpu_forward, "gpu_modes", self.modes)

    def choose_budget(self, _: object, run: Callable[[int], None], wanted: int | None) -> int:
        run(300)
        self.wanted = wanted
        if isinstance(self.budget, Exception):
            raise self.budget
        return self.budget

    def switch(self, is_cudnn: bool) -> None:  # noqa: FBT001 - as torch's own
        self.is_cudnn = is_cudnn

    def time(self, runner: Any, row: Any) -> float:
        runner(row)
        self.timed.append((self.is_cudnn, row.ids.shape[1]))
        return self.seconds[self.is_cudnn]

    def modes(self, _: object) -> list[ExecutionMode]:
        def build(_: object) -> Any:
            raise RuntimeError("no compiler")

        return [ExecutionMode("compiled", build)]

    def pack(
        self, model: Any, dtype: torch.dtype = torch.bfloat16, others: Any = ()
    ) -> PackedForward:
        return gpu_forward.gpu_forward(
            model, CPU, dtype, LONGEST, 9_000, others=others, warn=self.warnings.append
        )


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    return Gpu(monkeypatch)


@pytest.mark.parametrize("name", ["qwen2", "xlm-roberta", "modernbert"])
def test_a_gpu_packs_within_the_memory_it_has(name: str, gpu: Gpu) -> None:
    """In bf16, once a check on the very model has passed, and what fails to be fast is told."""
    forward = gpu.pack(tiny_model(name).merged)

    assert not forward.is_padded
    assert (forward.budget_tokens, gpu.wanted) == (2_112, 9_000)
    assert [shape.tokens for shape in forward.shapes] == [264, 528, 1_056, 2_112]
    assert gpu.timed == [(False, 8_448), (True, 8_448), (False, 2_112)]
    assert gpu.warnings == ["rows of 2,112 tokens are not run compiled: RuntimeError: no compiler"]
    assert np.isfinite(forward([[5, 6], [7]])).all()


def test_a_gpu_without_room_for_a_row_gets_the_smallest_budget(gpu: Gpu) -> None:
    """Batches are halved where even that is too much."""
    gpu.budget = OutOfMemory("full")

    assert gpu.pack(tiny_model("qwen2").merged).budget_tokens == BUDGETS[-1]


def test_what_fails_on_the_way_to_be_fast_costs_one_warning(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are packed all the same, and run kernel by kernel."""

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(gpu_forward, "gpu_modes", full)

    forward = gpu.pack(tiny_model("qwen2").merged)

    assert not forward.runners and np.isfinite(forward([[5, 6]])).all()
    assert gpu.warnings == ["rows are run kernel by kernel: OutOfMemoryError: CUDA out of memory"]


def test_the_kernel_that_is_chosen_is_the_one_that_is_checked(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A faster one that is wrong is a refusal, though the one that torch prefers is right."""
    by_article = packed_attention._by_article

    def attend(query: Any, *rest: Any) -> torch.Tensor:
        attended = by_article(query, *rest)
        return attended if gpu.is_cudnn else attended.flip(0)

    monkeypatch.setattr(packed_attention, "_by_article", attend)

    with pytest.raises(NotPackable, match="otherwise than alone"):
        gpu.pack(tiny_model("qwen2").merged)


def test_a_second_student_leaves_the_first_ones_kernel(gpu: Gpu) -> None:
    """torch's switch between kernels is one for the whole process."""
    gpu.pack(tiny_model("qwen2").merged)
    gpu.seconds = {True: 1.0, False: 2.0}

    gpu.pack(tiny_model("llama").merged)

    assert gpu.is_cudnn is False


def test_fp32_is_not_packed(gpu: Gpu) -> None:
    """The kernel does not compute it."""
    with pytest.raises(NotPackable, match="bf16 only"):
        gpu.pack(tiny_model("qwen2").merged, torch.float32)


def test_a_torch_without_the_kernel_packs_nothing(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel came with torch 2.10, and its windows later."""
    monkeypatch.setattr(gpu_forward, "KERNEL_PARAMETERS", frozenset({"is_causal"}))

    with pytest.raises(NotPackable, match="has no attention for packed rows"):
        gpu.pack(tiny_model("qwen2").merged)


def test_a_kernel_that_fails_on_this_gpu_is_a_refusal(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on cards that are too old for it."""

    def run(*_: object) -> None:
        raise RuntimeError("FlashAttention only supports Ampere GPUs or newer.")

    monkeypatch.setattr(PackedForward, "run_eagerly", run)

    with pytest.raises(NotPackable, match="Ampere"):
        gpu.pack(tiny_model("qwen2").merged)


@pytest.mark.usefixtures("gpu")
def test_a_model_that_is_refused_is_padded_with_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a GPU, and by the reason's name."""
    padded: list[Any] = []
    warnings: list[str] = []
    monkeypatch.setattr(forward_choice, "PaddedForward", lambda *args: padded.append(args))
    make = gpu_forward.gpu_forward
    monkeypatch.setattr(
        gpu_forward,
        "gpu_forward",
        lambda model, _, *rest, **named: make(model, CPU, *rest, **named),
    )
    model = plain_model(CAPPED)

    choose_forward(model, GPU, torch.bfloat16, LONGEST, 500, warn=warnings.append)

    assert padded == [(model, GPU, torch.bfloat16, 500)]
    assert len(warnings) == 1
    assert "padded, which is slower: its attention asks for softcap" in warnings[0]


@pytest.mark.parametrize(
    ("free", "bytes_per_token", "budget"),
    [
        (100 * GIB, 80_000, 33_792),
        (9 * GIB, 80_000, 33_792),
        (8 * GIB, 80_000, 16_896),
        (1 * GIB, 80_000, 2_112),
        (1, 80_000, 1_056),
    ],
)
def test_the_budget_is_what_three_tenths_of_the_free_memory_hold(
    free: int, bytes_per_token: float, budget: int
) -> None:
    """The rest is for the memory of CUDA graphs, rows of other shapes, and other students."""
    assert largest_budget(free, bytes_per_token) == budget


@pytest.mark.parametrize(
    ("wanted", "budget"), [(None, 16_896), (20_000, 16_896), (16_000, 16_000), (100, 100)]
)
def test_the_setting_is_an_upper_limit(
    wanted: int | None, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a row costs is measured by running one, after one that libraries warm up with."""
    peak, rows = [500], list[int]()

    def run(tokens: int) -> None:
        rows.append(tokens)
        peak[0] = 500 + tokens * 80_000

    for name, value in {
        "synchronize": None,
        "reset_peak_memory_stats": None,
        "memory_allocated": 500,
        "memory_reserved": 1 * GIB + 500,
        "mem_get_info": (5 * GIB, 8 * GIB),
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda _, value=value: value)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: peak[0])

    assert choose_budget(GPU, run, wanted) == budget
    assert rows == [2_112, 2_112]


def test_on_a_gpu_memory_is_shared_before_anything_is_captured(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CUDA graph remembers where tensors lay."""
    one, two = tiny_model("llama").merged, tiny_model("llama").merged
    gpu.pack(one)
    shared: list[bool] = []

    def modes(_: object) -> list[ExecutionMode]:
        first, second = (m.model.get_input_embeddings().weight for m in (one, two))
        shared.append(first.data_ptr() == second.data_ptr())
        return []

    monkeypatch.setattr(gpu_forward, "gpu_modes", modes)

    gpu.pack(two, others=[one])

    assert shared == [True]
