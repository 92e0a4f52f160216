"""What a GPU is asked to do, on a machine without one: fake tensors have shapes, types and devices,
and no numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AutoModel, BertConfig, MistralConfig, Qwen2Config

from newsieve.inference import packed_attention, packed_forward
from newsieve.inference.execution_modes import compile_runner
from newsieve.inference.model import StudentModel
from newsieve.inference.packed_forward import CopiedScores, PackedForward
from tests.support.device_watch import Stream, Watching
from tests.support.tiny_models import DECODERS, ENCODERS, tiny_model

BUDGET = 16_896
LONGEST = 512
DIMENSIONS = 8
ARTICLES = [[7] * length for length in (1, 2, 511, 512, 350, 200)]


def qwen(layers: int = 28) -> Qwen2Config:
    """Qwen2.5-1.5B, as published."""
    return Qwen2Config(
        hidden_size=1536,
        num_hidden_layers=layers,
        num_attention_heads=12,
        num_key_value_heads=2,
        intermediate_size=8960,
        vocab_size=151_936,
        max_position_embeddings=131_072,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        tie_word_embeddings=True,
        rms_norm_eps=1e-6,
    )


def minilm() -> BertConfig:
    """MiniLM's shape, of two layers."""
    return BertConfig(
        vocab_size=30_522, hidden_size=384, num_hidden_layers=2, num_attention_heads=12,
        intermediate_size=1536,
    )  # fmt: skip


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A GPU without numbers."""
    monkeypatch.setattr(torch.cuda, "synchronize", Stream.synchronize)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: Stream())
    monkeypatch.setattr(torch._C, "_get_cudnn_sdp_enabled", lambda: False)
    monkeypatch.setattr(packed_forward, "place", lambda model, *_: model.eval())  # it is there
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def forward_of(config: Any, pooling: Any = "last") -> PackedForward:
    """A forward pass on that GPU, in bf16 but for the head."""
    with torch.device("cuda"):
        backbone = AutoModel.from_config(config, dtype=torch.bfloat16)
        model = StudentModel(backbone, pooling, DIMENSIONS, bias=False)
    return PackedForward(model, torch.device("cuda"), torch.bfloat16, LONGEST, BUDGET)


@pytest.fixture
def kernel_calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the attention kernel is called with."""
    calls: list[Any] = []
    kernel = packed_attention.varlen_attn

    def watched(*args: Any, **kwargs: Any) -> torch.Tensor:
        calls.append((args, kwargs))
        attended: torch.Tensor = kernel(*args, **kwargs)
        return attended

    monkeypatch.setattr(packed_attention, "varlen_attn", watched)
    return calls


@pytest.mark.usefixtures("gpu")
def test_a_full_row_of_the_published_shape_is_submitted_without_waiting(
    kernel_calls: list[Any],
) -> None:
    """Qwen2.5-1.5B: 16,896 tokens in, the scores of the articles out, in page-locked memory."""
    forward = forward_of(qwen())
    batch = ARTICLES * 10

    with Watching() as watching:
        pending = forward.submit(batch)

    assert isinstance(pending, CopiedScores)
    assert (pending.scores.shape, pending.scores.dtype) == ((60, DIMENSIONS), torch.float32)
    assert watching.copied == [
        ("cuda", torch.int64, (1, BUDGET)),
        ("cuda", torch.int64, (1, BUDGET)),
        ("cuda", torch.int32, (BUDGET // 64 + 1,)),
        ("cpu", torch.float32, (60, DIMENSIONS)),
    ]
    assert watching.page_locked == 4
    assert len(kernel_calls) == 28
    for (query, key, value, *offsets, most_queries, most_keys), options in kernel_calls:
        assert query.shape == (BUDGET, 12, 128)
        assert key.shape == value.shape == (BUDGET, 2, 128)
        assert {part.dtype for part in (query, key, value)} == {torch.bfloat16}
        assert all(part.is_contiguous() for part in (query, key, value))
        assert {part.device.type for part in (query, key, value, *offsets)} == {"cuda"}
        assert offsets[0] is offsets[1] and offsets[0].dtype == torch.int32
        assert (most_queries, most_keys) == (LONGEST, LONGEST)
        assert options == {"scale": 128**-0.5, "window_size": (-1, 0), "enable_gqa": True}


@pytest.mark.usefixtures("gpu")
def test_an_encoder_sees_both_ways(kernel_calls: list[Any]) -> None:
    """And has as many heads for keys as for queries."""
    forward = forward_of(minilm(), "mean")

    with Watching():
        forward.submit(ARTICLES)

    assert len(kernel_calls) == 2
    for (query, *_), options in kernel_calls:
        assert query.shape == (BUDGET // 8, 12, 32)
        assert options == {"scale": 32**-0.5, "window_size": (-1, -1), "enable_gqa": False}


@pytest.mark.usefixtures("gpu")
def test_windows_that_slide_are_told_to_the_kernel(kernel_calls: list[Any]) -> None:
    """One that no article fills is none: that leaves torch the choice of its kernels."""
    for window in (128, 4_096):
        config = MistralConfig(
            vocab_size=600, hidden_size=256, num_hidden_layers=1, num_attention_heads=4,
            num_key_value_heads=2, intermediate_size=64, sliding_window=window,
        )  # fmt: skip
        forward_of(config).submit(ARTICLES)

    assert [options["window_size"] for _, options in kernel_calls] == [(127, 0), (-1, 0)]


@pytest.mark.parametrize("missing", [{"scale"}, {"enable_gqa"}, {"scale", "enable_gqa"}])
@pytest.mark.usefixtures("gpu")
def test_an_older_kernel_is_asked_for_what_it_takes(
    missing: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a scale of its own the queries are scaled; without groups the keys are repeated."""
    calls: list[Any] = []

    def older(query: Any, key: Any, value: Any, *_: Any, **kwargs: Any) -> torch.Tensor:
        assert not missing & set(kwargs)
        calls.append((query.shape[1], key.shape[1], value.shape[1]))
        return torch.empty_like(query)

    monkeypatch.setattr(packed_attention, "varlen_attn", older)
    parameters = packed_attention.KERNEL_PARAMETERS - missing
    monkeypatch.setattr(packed_attention, "KERNEL_PARAMETERS", parameters)

    forward_of(qwen(1)).submit(ARTICLES)

    assert calls == [(12, 12, 12) if "enable_gqa" in missing else (12, 2, 2)]


@pytest.mark.parametrize(("scale", "factor"), [(0.25, 1.0), (0.5, 2.0)])
def test_an_older_kernels_scale_is_made_up_for(
    scale: float, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It multiplies by the head's size to the power of -0.5, here by 0.25."""
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(packed_attention, "KERNEL_PARAMETERS", frozenset({"enable_gqa"}))
    monkeypatch.setattr(packed_attention, "varlen_attn", lambda q, *_, **__: seen.append(q) or q)
    query = torch.randn(3, 1, 16)

    packed_attention._by_kernel(query, query, query, torch.tensor([0, 3]), 3, scale, (-1, 0))

    assert torch.equal(seen[0], query * factor)


@pytest.mark.parametrize(
    ("config", "pooling"), [(qwen(layers=2), "last"), (minilm(), "mean")], ids=["qwen2", "bert"]
)
@pytest.mark.usefixtures("gpu")
def test_what_is_compiled_for_a_gpu_is_one_graph(config: Any, pooling: str) -> None:
    """The very function, by a backend that compiles nothing: there is no break in it."""
    forward = forward_of(config, pooling)
    row, shape = forward.stage(ARTICLES * 10)
    graphs: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, _: object) -> Any:
        graphs.append(graph)
        return graph.forward

    compiled = compile_runner(forward.run_eagerly, backend=backend)
    with torch.no_grad():
        for _ in range(2):
            scores = compiled(row)

    assert (scores.shape, scores.device.type) == ((shape.articles, DIMENSIONS), "cuda")
    assert len(graphs) == 1
    kernels = [node for node in graphs[0].graph.nodes if "_varlen_attn" in str(node.target)]
    assert len(kernels) == 2


@pytest.mark.parametrize("name", [*DECODERS, *ENCODERS])
def test_no_architecture_looks_at_a_number_of_the_device(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With true numbers, on the CPU: what code does with fake ones need not be what it does."""
    model = tiny_model(name).merged
    forward = PackedForward(model, torch.device("cpu"), torch.float32, LONGEST, 1_056)
    monkeypatch.setattr(packed_attention, "_by_article", lambda query, *_: query)

    with torch.no_grad(), Watching():
        forward.run_eagerly(forward.stage(ARTICLES)[0])


@pytest.mark.parametrize(
    "wait",
    [
        lambda tensor: tensor.cpu(),
        lambda tensor: tensor.to("cpu"),
        lambda tensor: tensor.nonzero(),
        lambda tensor: tensor[tensor > 0],
        lambda tensor: tensor.sum().item(),
        lambda tensor: bool((tensor > 0).all()),
        lambda tensor: torch.empty(4).copy_(tensor),
    ],
)
@pytest.mark.usefixtures("gpu")
def test_the_watch_sees_what_waits(wait: Callable[[torch.Tensor], object]) -> None:
    """Or the tests above would show nothing."""
    tensor = torch.empty(4, device="cuda")

    with pytest.raises(AssertionError, match="waits for the device"), Watching():
        wait(tensor)


def test_scores_that_are_fetched_are_waited_for_when_they_are_asked_for() -> None:
    """By the event that was recorded behind them."""
    calls: list[str] = []

    class Event:
        def synchronize(self) -> None:
            calls.append("synchronize")

    pending = CopiedScores(torch.tensor([[1.5, 2.0]]), Event())

    assert not calls
    assert pending.result().tolist() == [[1.5, 2.0]]
    assert pending.result().dtype == "float64"
    assert calls == ["synchronize"] * 2
