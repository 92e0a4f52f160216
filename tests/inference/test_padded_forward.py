"""The forward pass of a CPU: the scores of a plain transformers forward, one article a call."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel, Qwen2Config, Qwen2Model

from newsieve.inference.batching import OutOfMemory
from newsieve.inference.cpu_forward import ConcurrentForward, cpu_forward
from newsieve.inference.cpu_linear import PackedLinear, can_pack
from newsieve.inference.forward import Batch, Scores
from newsieve.inference.model import StudentModel
from newsieve.inference.padded_forward import PaddedForward
from tests.support.forwards import ScriptedForward

VOCABULARY, LONGEST, OUTPUTS = 100, 64, 8
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": LONGEST,
    "initializer_range": 0.2,
}
LENGTHS = {
    "one token": [1],
    "two tokens": [2, 2],
    "full length": [LONGEST] * 3,
    "mixed lengths": [1, 2, 17, LONGEST, 33, 17],
}
# Of scores of about 1. In bf16 a number has 8 binary digits, and errors add up over the layers.
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.1}

needs_packing = pytest.mark.skipif(
    not can_pack(torch.float32), reason="oneDNN's packed weights are for x86 processors"
)


def student(kind: str) -> StudentModel:
    """A random student, the same at every call."""
    torch.manual_seed(0)
    if kind == "bert":
        model = StudentModel(BertModel(BertConfig(**SHAPE)), "mean", OUTPUTS, bias=True)
    else:
        config = Qwen2Config(num_key_value_heads=2, pad_token_id=0, **SHAPE)
        model = StudentModel(Qwen2Model(config), "last", OUTPUTS, bias=False)
    return model.eval()


def articles(lengths: list[int]) -> Batch:
    random = np.random.default_rng(len(lengths))
    return [random.integers(1, VOCABULARY, length).tolist() for length in lengths]


def one_a_call(model: StudentModel, batch: Batch) -> Scores:
    """The scores of the plain model."""
    with torch.inference_mode():
        rows = [
            model(torch.tensor([ids]), torch.ones((1, len(ids)), dtype=torch.int64))[0].numpy()
            for ids in batch
        ]
    return np.stack(rows).astype(np.float64)


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("kind", ["bert", "qwen2"])
def test_scores_are_those_of_one_article_a_call(
    kind: str, dtype: torch.dtype, lengths: list[int]
) -> None:
    """Neither packed weights nor padding nor threads change a score beyond rounding."""
    batch = articles(lengths)
    expected = one_a_call(student(kind), batch)

    forward = cpu_forward(student(kind), dtype, None, threads=2)
    pending = [forward.submit(batch) for _ in range(4)]

    for scores in pending:
        assert np.abs(scores.result() - expected).max() < TOLERANCE[dtype]


@needs_packing
def test_packed_weights_are_in_memory_once() -> None:
    """Every linear layer of the backbone is packed, and its plain weight is gone."""
    model = student("bert")
    linears = [module for module in model.model.modules() if type(module) is nn.Linear]
    plain = [weakref.ref(module.weight) for module in linears]
    del linears

    cpu_forward(model, torch.float32, None, threads=1)
    gc.collect()

    assert not any(type(module) is nn.Linear for module in model.model.modules())
    assert len(plain) == sum(isinstance(module, PackedLinear) for module in model.model.modules())
    assert all(weight() is None for weight in plain)


class ReadsItsWeight(nn.Module):
    """A layer that does more with a linear layer than call it, as some models of the hub do."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.config: Any = backbone.config
        self.projection = nn.Linear(32, 32)

    def forward(self, **inputs: Any) -> Any:
        output = self.backbone(**inputs)
        hidden = output.last_hidden_state
        output.last_hidden_state = nn.functional.linear(hidden, self.projection.weight)
        return output


@needs_packing
def test_model_that_reads_its_weights_keeps_them_plain() -> None:
    """Whatever cannot work with packed weights scores as before."""

    def model() -> StudentModel:
        torch.manual_seed(1)
        return StudentModel(ReadsItsWeight(student("bert").model), "mean", OUTPUTS, bias=True)

    batch = articles([5, 9])
    forward = cpu_forward(model(), torch.float32, None, threads=1)

    assert np.abs(forward(batch) - one_a_call(model().eval(), batch)).max() < 1e-4
    with pytest.raises(RuntimeError):  # what the model above would have run into
        nn.functional.linear(torch.ones(1, 4), PackedLinear(nn.Linear(4, 4)).weight)


def test_batches_are_scored_side_by_side() -> None:
    """Two batches that were given to the CPU are scored at the same time, each by its own."""
    both_are_here = threading.Barrier(2, timeout=30)

    def answer(batch: Batch) -> Scores:
        both_are_here.wait()
        return np.full((len(batch), OUTPUTS), float(len(batch[0])))

    forward = ConcurrentForward(ScriptedForward(answer), threads=2)
    first, second = forward.submit([[1]]), forward.submit([[1, 2]])

    assert (first.result() == 1).all()
    assert (second.result() == 2).all()


@pytest.mark.parametrize(("total", "shares"), [(1, [1]), (2, [1, 1]), (3, [1, 2]), (5, [2, 3])])
def test_forward_passes_of_a_process_use_no_more_threads_than_they_are_given(
    total: int, shares: list[int]
) -> None:
    """And no fewer; several students share them."""
    both_are_here = threading.Barrier(len(shares), timeout=30)

    def answer(batch: Batch) -> Scores:
        both_are_here.wait()
        return np.full((len(batch), 1), float(torch.get_num_threads()))

    students = [ConcurrentForward(ScriptedForward(answer), total) for _ in range(2)]
    pending = [students[index % 2].submit([[1]]) for index in range(len(shares))]

    assert sorted(int(scores.result()[0, 0]) for scores in pending) == shares
    assert students[0]._threads is students[1]._threads


def test_failure_of_a_batch_is_raised_where_its_scores_are_asked_for() -> None:
    """A batch that fails leaves the next one alone."""

    def answer(batch: Batch) -> Scores:
        if len(batch) > 1:
            raise ValueError("too many")
        return np.zeros((1, OUTPUTS))

    forward = ConcurrentForward(ScriptedForward(answer), threads=1)
    bad, good = forward.submit([[1], [2]]), forward.submit([[1]])

    with pytest.raises(ValueError, match="too many"):
        bad.result()
    assert good.result().shape == (1, OUTPUTS)


class AdaptsItsPositions(nn.Module):
    """Marked as transformers marks position embeddings that change with a batch's length."""

    rope_type = "dynamic"

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.config: Any = backbone.config
        self.inside = threading.Semaphore(1)
        self.overlaps = 0

    def forward(self, **inputs: Tensor) -> Any:
        if not self.inside.acquire(blocking=False):
            self.overlaps += 1
            return self.backbone(**inputs)
        output = self.backbone(**inputs)
        self.inside.release()
        return output


def test_model_that_changes_while_it_runs_scores_one_batch_at_a_time() -> None:
    """Two batches would change each other's position embeddings."""
    backbone = AdaptsItsPositions(student("bert").model)
    model = StudentModel(backbone, "mean", OUTPUTS, bias=True)
    forward = cpu_forward(model, torch.float32, None, threads=2)

    pending = [forward.submit(articles([LONGEST] * 8)) for _ in range(20)]

    assert all(np.isfinite(scores.result()).all() for scores in pending)
    assert backbone.overlaps == 0


def test_padded_forward_alone_leaves_layers_plain() -> None:
    """Training judges a model that it goes on to train."""
    model = student("bert")

    PaddedForward(model, torch.device("cpu"), torch.float32)

    assert not any(isinstance(module, PackedLinear) for module in model.modules())


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("could not create a primitive"),
        torch.OutOfMemoryError("CUDA out of memory"),
    ],
    ids=str,
)
def test_a_machine_without_memory_blames_no_text(error: Exception) -> None:
    """Whatever words it has for that: fewer texts may fit."""
    model = student("bert")
    forward = PaddedForward(model, torch.device("cpu"), torch.float32)

    def short(**_: Any) -> Any:
        raise error

    model.model.forward = short

    with pytest.raises(OutOfMemory):
        forward([[1, 2]])
