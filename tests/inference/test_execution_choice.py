"""How rows are executed on a GPU: chosen with modes and clocks that a test makes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from newsieve.inference import execution_choice, packed_attention
from newsieve.inference.execution_choice import (
    LIMIT_SECONDS,
    MOST_COMPARED_ROWS,
    ExecutionMode,
    choose_execution,
    difference,
)
from newsieve.inference.execution_modes import compile_runner
from newsieve.inference.packed_forward import PackedForward, Row, RowRunner
from tests.support.tiny_models import tiny_model

CPU = torch.device("cpu")
COMPARED_TOKENS = execution_choice.COMPARED_TOKENS
LONGEST = 32


@pytest.fixture
def forward(monkeypatch: pytest.MonkeyPatch) -> PackedForward:
    monkeypatch.setattr(execution_choice, "COMPARED_TOKENS", 512)
    return PackedForward(tiny_model("qwen2").merged, CPU, torch.float32, LONGEST, 512)


class Scene:
    """Modes that take as long as a test says, and what was told of them."""

    def __init__(self, forward: PackedForward) -> None:
        self.forward = forward
        self.warnings: list[str] = []
        self.took: dict[RowRunner, float] = {forward.run_eagerly: 1.0}
        self.built: list[tuple[str, int]] = []

    def mode(self, name: str, seconds: float, error: float | Exception = 0.0) -> ExecutionMode:
        """A mode that takes so long, and is wrong by so much or fails."""

        def build(row: Row) -> RowRunner:
            self.built.append((name, row.ids.shape[1]))
            if isinstance(error, Exception):
                raise error

            def run(row: Row) -> torch.Tensor:
                return self.forward.run_eagerly(row) + error

            self.took[run] = seconds
            return run

        return ExecutionMode(name, build)

    def choose(self, *modes: ExecutionMode, clock: Callable[[], float] = lambda: 0.0) -> None:
        def seconds(run: RowRunner, _: Row) -> float:
            return self.took[run]

        choose_execution(self.forward, modes, seconds, self.warnings.append, clock)


@pytest.fixture
def scene(forward: PackedForward) -> Scene:
    return Scene(forward)


def test_the_fastest_mode_is_chosen_for_every_fixed_shape(scene: Scene) -> None:
    """Full rows decide; the others follow."""
    slow, fast = scene.mode("slow", 0.9), scene.mode("fast", 0.5)

    scene.choose(slow, fast)

    assert list(scene.forward.runners) == scene.forward.shapes[::-1]
    assert {scene.took[runner] for runner in scene.forward.runners.values()} == {0.5}
    assert not scene.warnings


def test_rows_of_other_shapes_are_run_eagerly(scene: Scene) -> None:
    """With the same scores."""
    batch = [[5, 6, 7]] * 200
    expected = scene.forward(batch)

    scene.choose(scene.mode("fast", 0.5, error=0.001))

    assert np.array_equal(scene.forward(batch), expected)
    assert np.allclose(scene.forward(batch[:3]), expected[:3] + 0.001)


def test_what_is_hardly_faster_is_not_taken(scene: Scene) -> None:
    """Less than two in a hundred is noise, and the eager mode needs nothing."""
    scene.choose(scene.mode("same", 0.99))

    assert not scene.forward.runners and not scene.warnings


def test_what_scores_otherwise_is_not_taken_however_fast(scene: Scene) -> None:
    """A shift of all scores by 0.02 would move articles from tier to tier."""
    scene.choose(scene.mode("wrong", 0.1, error=0.02), scene.mode("right", 0.8))

    assert {scene.took[runner] for runner in scene.forward.runners.values()} == {0.8}
    assert len(scene.warnings) == 1
    assert "wrong" in scene.warnings[0] and "bias" in scene.warnings[0]


def test_what_fails_costs_one_warning(scene: Scene) -> None:
    """However many modes fail, and whatever their compiler says on many lines."""
    modes = [
        scene.mode("compiled", 0.1, RuntimeError("no C compiler\nhere")),
        scene.mode("as a CUDA graph", 0.1, torch.OutOfMemoryError("full")),
    ]

    scene.choose(*modes)

    assert not scene.forward.runners
    assert scene.warnings == [
        "rows of 512 tokens are not run compiled: RuntimeError: no C compiler; "
        "rows of 512 tokens are not run as a CUDA graph: OutOfMemoryError: full"
    ]


def test_a_shape_that_fails_alone_is_run_eagerly(scene: Scene) -> None:
    """The others keep the faster mode."""
    inner = scene.mode("fast", 0.5)

    def build(row: Row) -> RowRunner:
        if row.ids.shape[1] == 64:
            raise RuntimeError("too small")
        return inner.build(row)

    scene.choose(ExecutionMode("fast", build))

    assert [shape.tokens for shape in scene.forward.runners] == [512, 256, 128]
    assert scene.warnings == ["rows of 64 tokens are not run fast: RuntimeError: too small"]


def test_nothing_is_begun_when_the_time_is_up(scene: Scene) -> None:
    """What is there by then is taken; rows of other shapes are not even scored to compare with."""
    rows: list[Row] = []
    run = scene.forward.run_eagerly

    def watched(row: Row) -> torch.Tensor:
        rows.append(row)
        return run(row)

    scene.forward.run_eagerly = watched  # type: ignore[method-assign]
    scene.took[watched] = 1.0
    times = itertools.chain([0.0, 1.0, 2.0, LIMIT_SECONDS + 1], itertools.repeat(1e9))

    scene.choose(
        scene.mode("fast", 0.5), scene.mode("faster", 0.4), scene.mode("late", 0.3),
        clock=lambda: next(times),
    )  # fmt: skip

    assert {row.ids.shape[1] for row in rows} == {512}
    assert scene.built == [("fast", 512), ("faster", 512)]
    assert [shape.tokens for shape in scene.forward.runners] == [512]


@pytest.mark.parametrize("budget", [1, 64, 1_056])
def test_few_tokens_a_row_do_not_make_the_start_long(
    budget: int, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most 64 rows of each shape are compared, which are as many articles at least."""
    monkeypatch.setattr(execution_choice, "COMPARED_TOKENS", COMPARED_TOKENS)
    scene.forward.set_budget(budget)
    compared: dict[int, list[int]] = {}

    def run(row: Row) -> torch.Tensor:
        tokens, articles = row.ids.shape[1], int((row.offsets.diff() > 0).sum())
        compared.setdefault(tokens, []).append(articles)
        return torch.zeros(len(row.offsets) - 1, 2)

    scene.forward.run_eagerly = run  # type: ignore[method-assign]
    scene.took[run] = 1.0

    def build(_: Row) -> RowRunner:
        def fast(row: Row) -> torch.Tensor:
            return torch.zeros(len(row.offsets) - 1, 2)

        scene.took[fast] = 0.5
        return fast

    scene.choose(ExecutionMode("fast", build))

    assert list(compared) == [shape.tokens for shape in scene.forward.shapes[::-1]]
    for articles in compared.values():
        assert len(articles) <= MOST_COMPARED_ROWS <= sum(articles)


@pytest.mark.parametrize(
    ("errors", "complaint"),
    [
        (np.zeros((100, 8)), None),
        (np.full((100, 8), 0.009), None),
        (np.full((100, 8), 0.011), "bias"),
        (np.tile([[0.04], [-0.04]], (50, 8)), "mean error"),
        (np.concatenate([np.zeros((98, 8)), [[0.15] * 8, [-0.15] * 8]]), "99th percentile"),
        (np.concatenate([np.zeros((99, 8)), [[0.25] + [0.0] * 7]]), "largest error"),
        (np.concatenate([np.zeros((99, 8)), [[np.nan] * 8]]), "mean error"),
    ],
)
def test_scores_may_differ_by_rounding_only(errors: Any, complaint: str | None) -> None:
    """By the mean, the 99th percentile, the largest error, and the bias of each dimension."""
    found = difference(np.zeros_like(errors), errors)

    assert found is None if complaint is None else complaint in (found or "")


@pytest.fixture
def one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention on the CPU that can be compiled, as the GPU's kernel can."""

    def attend(q: Any, k: Any, v: Any, offsets: Any, scale: float, _: object) -> torch.Tensor:
        places = torch.arange(len(q))
        article = torch.searchsorted(offsets[1:].long(), places, right=True)
        mask = (article[:, None] == article) & (places[:, None] >= places)
        q, k, v = (part.transpose(0, 1)[None] for part in (q, k, v))
        attended = scaled_dot_product_attention(q, k, v, mask, scale=scale, enable_gqa=True)
        return attended[0].transpose(0, 1)

    monkeypatch.setattr(packed_attention, "_by_article", attend)
    torch.compiler.reset()


@pytest.mark.usefixtures("one_piece")
def test_rows_are_compiled_once_for_each_fixed_shape(scene: Scene) -> None:
    """By a backend that compiles nothing: the scores are the same, and a row of another shape
    compiles nothing."""
    batch = [[5, 6, 7], [8] * 30]
    expected = scene.forward(batch)
    shapes: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        shapes.append(max(tensor.shape[1] for tensor in inputs if tensor.shape[:1] == (1,)))
        return graph.forward

    compiled = compile_runner(scene.forward.run_eagerly, backend=backend)
    scene.took[compiled] = 0.5

    scene.choose(ExecutionMode("compiled", lambda _: compiled))

    assert set(scene.forward.runners.values()) == {compiled}
    assert np.allclose(scene.forward(batch), expected, atol=1e-5)
    scene.forward([[5]] * 600)
    assert shapes == [512, 256, 128, 64]


@pytest.mark.usefixtures("one_piece")
def test_a_compiler_that_fails_leaves_the_eager_mode(scene: Scene) -> None:
    """As where there is no C compiler."""

    def backend(*_: object) -> Any:
        raise RuntimeError("Failed to find C compiler")

    compiled = compile_runner(scene.forward.run_eagerly, backend=backend)

    scene.choose(ExecutionMode("compiled", lambda _: compiled))

    assert not scene.forward.runners
    assert len(scene.warnings) == 1
    assert np.isfinite(scene.forward([[5, 6]])).all()
