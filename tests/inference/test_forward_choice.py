"""Which forward pass a model gets, and what a GPU's is made ready with: by fakes of the GPU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from newsieve.inference import device_memory, forward_choice, gpu_forward, row_runs
from newsieve.inference.batching import OutOfMemory
from newsieve.inference.device_memory import BUDGETS, choose_budget, largest_budget
from newsieve.inference.forward_choice import choose_forward
from newsieve.inference.packed_attention import NotPackable
from newsieve.inference.packed_forward import PackedForward
from newsieve.inference.placement import share_parameters
from newsieve.inference.row_runs import Way
from tests.support.tiny_models import CAPPED, LONGEST, plain_model, tiny_model

CPU, GPU = torch.device("cpu"), torch.device("cuda")
GIB = 1024**3


class Gpu:
    """The CPU in the place of a GPU, with as much memory as a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.budget: int | Exception = 2_112
        self.wanted: int | None = None
        self.kernels: list[int] = []
        self.warnings: list[str] = []
        monkeypatch.setattr(row_runs, "COMPARED_TOKENS", 2_112)
        monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
        monkeypatch.setattr(gpu_forward, "choose_budget", self.choose_budget)
        monkeypatch.setattr(gpu_forward, "seconds_on", lambda _: lambda *_: 1.0)
        monkeypatch.setattr(gpu_forward, "choose_kernel", self.choose_kernel)
        monkeypatch.setattr(gpu_forward, "keep_compiled_code", lambda: None)
        monkeypatch.setattr(gpu_forward, "gpu_ways", self.ways)

    def choose_budget(self, _: object, run: Callable[[int], None], wanted: int | None) -> int:
        run(300)
        self.wanted = wanted
        if isinstance(self.budget, Exception):
            raise self.budget
        return self.budget

    def choose_kernel(self, run: Any, row: Any, _: object) -> None:
        self.kernels.append(run(row).shape[0])

    def ways(self, _: object) -> list[Way]:
        def build(_: object) -> Any:
            raise RuntimeError("no compiler")

        return [Way("compiled", build)]

    def pack(self, model: Any, dtype: torch.dtype = torch.bfloat16) -> PackedForward:
        return gpu_forward.gpu_forward(model, CPU, dtype, LONGEST, 9_000, self.warnings.append)


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
    assert gpu.kernels == [33]
    assert gpu.warnings == ["rows of 2,112 tokens are not compiled: RuntimeError: no compiler"]
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

    monkeypatch.setattr(gpu_forward, "choose_kernel", full)

    forward = gpu.pack(tiny_model("qwen2").merged)

    assert not forward.runs and np.isfinite(forward([[5, 6]])).all()
    assert gpu.warnings == ["rows are run kernel by kernel: OutOfMemoryError: CUDA out of memory"]


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

    monkeypatch.setattr(PackedForward, "run", run)

    with pytest.raises(NotPackable, match="Ampere"):
        gpu.pack(tiny_model("qwen2").merged)


@pytest.mark.usefixtures("gpu")
def test_a_model_that_is_refused_is_padded_with_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a GPU, and by the reason's name."""
    padded: list[Any] = []
    warnings: list[str] = []
    # What would be on the GPU is on the CPU.
    monkeypatch.setattr(forward_choice, "place", lambda model, _, dtype: model.model.to(dtype))
    monkeypatch.setattr(forward_choice, "PaddedForward", lambda *args: padded.append(args))
    make = gpu_forward.gpu_forward
    monkeypatch.setattr(gpu_forward, "gpu_forward", lambda model, _, *rest: make(model, CPU, *rest))
    model = plain_model(CAPPED)

    choose_forward(model, GPU, torch.bfloat16, LONGEST, 500, warn=warnings.append)

    assert padded == [(model, GPU, torch.bfloat16, 500)]
    assert len(warnings) == 1
    assert "padded, which is slower: its attention asks for softcap" in warnings[0]


@pytest.mark.parametrize(
    ("free", "bytes_per_token", "budget"),
    [
        (100 * GIB, 80_000, 33_792),
        (6 * GIB, 80_000, 33_792),
        (4 * GIB, 80_000, 16_896),
        (1 * GIB, 80_000, 4_224),
        (1, 80_000, 1_056),
    ],
)
def test_the_budget_is_what_half_of_the_free_memory_holds(
    free: int, bytes_per_token: float, budget: int
) -> None:
    """The other half is for other students, and for what recordings keep to themselves."""
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
        "mem_get_info": (3 * GIB, 8 * GIB),
    }.items():
        monkeypatch.setattr(device_memory.torch.cuda, name, lambda _, value=value: value)
    monkeypatch.setattr(device_memory.torch.cuda, "max_memory_allocated", lambda _: peak[0])

    assert choose_budget(GPU, run, wanted) == budget
    assert rows == [2_112, 2_112]


def test_students_over_one_base_share_what_their_adapters_left_alone() -> None:
    """The embeddings are held once; scores stay as they are."""
    one, two = tiny_model("qwen2").merged, tiny_model("qwen2").merged
    with torch.no_grad():  # another adapter
        two.model.layers[0].mlp.up_proj.weight += 0.1
        two.score.weight += 0.1
    batch = [[5, 6, 7], [8] * 30]
    expected = PackedForward(two, CPU, torch.float32, LONGEST, 1_056)(batch)

    freed = share_parameters(two, one)

    theirs = {name: parameter.data_ptr() for name, parameter in one.named_parameters()}
    own = {
        name for name, parameter in two.named_parameters() if parameter.data_ptr() != theirs[name]
    }
    assert own == {"model.layers.0.mlp.up_proj.weight", "score.weight"}
    shared = [parameter for name, parameter in one.named_parameters() if name not in own]
    assert freed == sum(parameter.numel() * 4 for parameter in shared)
    assert np.array_equal(PackedForward(two, CPU, torch.float32, LONGEST, 1_056)(batch), expected)
    assert share_parameters(two, one) == 0


def test_students_over_different_bases_share_nothing() -> None:
    """Not by name, nor by shape alone."""
    one, two = tiny_model("qwen2").merged, tiny_model("bert").merged

    assert share_parameters(two, one) == 0


def test_a_student_shares_memory_before_its_forward_pass_is_made() -> None:
    """What is recorded on a GPU remembers where tensors lay."""
    one, two = tiny_model("llama").merged, tiny_model("llama").merged
    choose_forward(one, CPU, torch.bfloat16, LONGEST)

    choose_forward(two, CPU, torch.bfloat16, LONGEST, others=[one])

    first, second = (m.model.get_input_embeddings().weight for m in (one, two))
    assert first.data_ptr() == second.data_ptr() and first.dtype == torch.bfloat16
