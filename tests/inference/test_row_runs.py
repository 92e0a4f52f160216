"""Which way rows are run on a GPU: decided with ways and clocks that a test makes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from newsieve.inference import packed_attention, row_runs
from newsieve.inference.gpu_runs import compile_run
from newsieve.inference.packed_forward import PackedForward, Row, RunRow
from newsieve.inference.row_runs import LIMIT_SECONDS, Way, choose_runs, difference
from tests.support.tiny_models import tiny_model

CPU = torch.device("cpu")
LONGEST = 32


@pytest.fixture
def forward(monkeypatch: pytest.MonkeyPatch) -> PackedForward:
    monkeypatch.setattr(row_runs, "COMPARED_TOKENS", 512)
    return PackedForward(tiny_model("qwen2").merged, CPU, torch.float32, LONGEST, 512)


class Scene:
    """Ways that take as long as a test says, and what was told of them."""

    def __init__(self, forward: PackedForward) -> None:
        self.forward = forward
        self.warnings: list[str] = []
        self.took: dict[RunRow, float] = {forward.run: 1.0}
        self.built: list[tuple[str, int]] = []

    def way(self, name: str, seconds: float, error: float | Exception = 0.0) -> Way:
        """A way that takes so long, and is wrong by so much or fails."""

        def build(row: Row) -> RunRow:
            self.built.append((name, row.ids.shape[1]))
            if isinstance(error, Exception):
                raise error

            def run(row: Row) -> torch.Tensor:
                return self.forward.run(row) + error

            self.took[run] = seconds
            return run

        return Way(name, build)

    def choose(self, *ways: Way, clock: Callable[[], float] = lambda: 0.0) -> str | None:
        def seconds(run: RunRow, _: Row) -> float:
            return self.took[run]

        return choose_runs(self.forward, ways, seconds, self.warnings.append, clock)


@pytest.fixture
def scene(forward: PackedForward) -> Scene:
    return Scene(forward)


def test_the_fastest_way_is_taken_for_every_fixed_shape(scene: Scene) -> None:
    """Full rows decide; the others follow."""
    slow, fast = scene.way("slow", 0.9), scene.way("fast", 0.5)

    assert scene.choose(slow, fast) == "fast"

    assert list(scene.forward.runs) == scene.forward.shapes[::-1]
    assert {scene.took[run] for run in scene.forward.runs.values()} == {0.5}
    assert not scene.warnings


def test_rows_of_other_shapes_are_run_the_plain_way(scene: Scene) -> None:
    """With the same scores."""
    batch = [[5, 6, 7]] * 200
    expected = scene.forward(batch)

    scene.choose(scene.way("fast", 0.5, error=0.001))

    assert np.array_equal(scene.forward(batch), expected)
    assert np.allclose(scene.forward(batch[:3]), expected[:3] + 0.001)


def test_what_is_hardly_faster_is_not_taken(scene: Scene) -> None:
    """Less than two in a hundred is noise, and the plain way needs nothing."""
    assert scene.choose(scene.way("same", 0.99)) is None
    assert not scene.forward.runs and not scene.warnings


def test_what_scores_otherwise_is_not_taken_however_fast(scene: Scene) -> None:
    """A shift of all scores by 0.02 would move articles from tier to tier."""
    assert scene.choose(scene.way("wrong", 0.1, error=0.02), scene.way("right", 0.8)) == "right"
    assert len(scene.warnings) == 1
    assert "wrong" in scene.warnings[0] and "bias" in scene.warnings[0]


def test_what_fails_costs_one_warning(scene: Scene) -> None:
    """However many ways fail, and whatever their compiler says on many lines."""
    ways = [
        scene.way("compiled", 0.1, RuntimeError("no C compiler\nhere")),
        scene.way("recorded", 0.1, torch.OutOfMemoryError("full")),
    ]

    assert scene.choose(*ways) is None

    assert not scene.forward.runs
    assert scene.warnings == [
        "rows of 512 tokens are not compiled: RuntimeError: no C compiler; "
        "rows of 512 tokens are not recorded: OutOfMemoryError: full"
    ]


def test_a_shape_that_fails_alone_is_run_the_plain_way(scene: Scene) -> None:
    """The others keep the faster way."""
    inner = scene.way("fast", 0.5)

    def build(row: Row) -> RunRow:
        if row.ids.shape[1] == 64:
            raise RuntimeError("too small")
        return inner.build(row)

    assert scene.choose(Way("fast", build)) == "fast"
    assert [shape.tokens for shape in scene.forward.runs] == [512, 256, 128]
    assert scene.warnings == ["rows of 64 tokens are not fast: RuntimeError: too small"]


def test_no_way_is_begun_when_the_time_is_up(scene: Scene) -> None:
    """What is there by then is taken."""
    times = itertools.chain([0.0, 1.0, 2.0, LIMIT_SECONDS + 1], itertools.repeat(1e9))

    name = scene.choose(
        scene.way("fast", 0.5), scene.way("never", 0.4), scene.way("begun", 0.3),
        clock=lambda: next(times),
    )  # fmt: skip

    assert name == "never"
    assert scene.built == [("fast", 512), ("never", 512)]
    assert [shape.tokens for shape in scene.forward.runs] == [512]


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
def test_a_run_is_compiled_once_for_each_fixed_shape(scene: Scene) -> None:
    """By a backend that compiles nothing: the scores are the same, and a row of another shape
    compiles nothing."""
    batch = [[5, 6, 7], [8] * 30]
    expected = scene.forward(batch)
    shapes: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        shapes.append(max(tensor.shape[1] for tensor in inputs if tensor.shape[:1] == (1,)))
        return graph.forward

    compiled = compile_run(scene.forward.run, backend=backend)
    scene.took[compiled] = 0.5

    assert scene.choose(Way("compiled", lambda _: compiled)) == "compiled"
    assert np.allclose(scene.forward(batch), expected, atol=1e-5)
    scene.forward([[5]] * 600)
    assert shapes == [512, 256, 128, 64]


@pytest.mark.usefixtures("one_piece")
def test_a_compiler_that_fails_leaves_the_plain_way(scene: Scene) -> None:
    """As where there is no C compiler."""

    def backend(*_: object) -> Any:
        raise RuntimeError("Failed to find C compiler")

    compiled = compile_run(scene.forward.run, backend=backend)

    assert scene.choose(Way("compiled", lambda _: compiled)) is None
    assert len(scene.warnings) == 1
    assert np.isfinite(scene.forward([[5, 6]])).all()
