"""The execution modes of a GPU: CUDA graphs, compiling, and where compiled code is kept. The GPU's
own parts are fakes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch

from newsieve.inference.execution_modes import (
    OPTIONS,
    capture_graph,
    compile_runner,
    gpu_modes,
    seconds_on,
)
from newsieve.inference.packed_forward import PackedForward, Row
from tests.support.tiny_models import LONGEST, tiny_model


class Card:
    """CUDA graphs as they are used: work that is captured is done again when it is replayed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[str] = []
        self.options: dict[str, Any] = {}
        monkeypatch.setattr(torch.cuda, "Stream", lambda: self)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda *_: self)
        monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: self)
        monkeypatch.setattr(torch.cuda, "graph", self.graph)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda _: self.events.append("wait"))

    def wait_stream(self, _: object) -> None:
        pass

    @contextmanager
    def graph(self, graph: object, **options: Any) -> Iterator[None]:
        assert graph is self
        self.options = options
        self.events.append("capture")
        yield
        self.events.append("captured")

    def replay(self) -> None:
        self.events.append("replay")
        self.scores.copy_(self.held.ids[0, :1] * 2.0)

    def run(self, row: Row) -> torch.Tensor:
        """What is captured: it remembers where its row and its scores lie."""
        self.events.append("run")
        self.held, self.scores = row, row.ids[0, :1] * 2.0
        return self.scores


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    return Card(monkeypatch)


def row_of(number: float) -> Row:
    return Row(torch.full((1, 4), number), torch.zeros(1, 4), torch.zeros(2))


def test_a_cuda_graph_scores_the_row_that_it_is_given(card: Card) -> None:
    """Rows are copied to where the captured one was, and nothing is run anew."""
    first = row_of(1.0)
    replay = capture_graph(card.run, first)
    card.events.clear()

    assert replay(row_of(5.0)).tolist() == [10.0]
    assert replay(row_of(7.0)).tolist() == [14.0]
    assert card.events == ["replay", "replay"]
    assert first.ids.tolist() == [[1.0] * 4]


def test_work_is_warmed_up_before_it_is_captured(card: Card) -> None:
    """Libraries allocate at their first calls, which a capture does not allow. Other threads may
    use the device meanwhile, and no two graphs share memory, which goes with the graph."""
    capture_graph(card.run, row_of(1.0))

    assert card.events == ["run"] * 3 + ["capture", "run", "captured"]
    assert card.options == {"capture_error_mode": "thread_local"}


def test_a_stopwatch_waits_for_the_device_on_both_sides(card: Card) -> None:
    """Else it would time the launching alone."""
    assert seconds_on(torch.device("cuda"))(card.run, row_of(1.0)) >= 0
    assert card.events == ["run"] + ["wait", "run", "wait"] * 5


def test_the_most_promising_mode_comes_first() -> None:
    """Time may be up before the last."""
    model = tiny_model("qwen2").merged
    forward = PackedForward(model, torch.device("cpu"), torch.float32, LONGEST, 512)

    names = [mode.name for mode in gpu_modes(forward)]

    assert names == ["compiled, as a CUDA graph", "compiled", "as a CUDA graph"]


def test_torch_knows_the_options_that_it_compiles_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses those it does not know, and then nothing would ever be compiled."""
    compile_runner(lambda row: row.ids)

    monkeypatch.setitem(OPTIONS, "round_as_before", "yes")
    with pytest.raises(RuntimeError, match="round_as_before"):
        compile_runner(lambda row: row.ids)
